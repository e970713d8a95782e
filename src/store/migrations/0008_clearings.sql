-- Labels that caches of applications follow, where each was last seen, and what is left to do there.
CREATE TABLE clearings (
  cache    TEXT NOT NULL,
  registry TEXT NOT NULL,
  prompt   TEXT NOT NULL,
  label    TEXT NOT NULL,
  version  INTEGER,
  moves    INTEGER NOT NULL,
  moved_at TEXT NOT NULL,
  tried_at TEXT,
  passes   INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  error    TEXT,
  over     INTEGER NOT NULL CHECK (over IN (0, 1)),
  PRIMARY KEY (cache, registry, prompt, label)
) STRICT, WITHOUT ROWID;

CREATE INDEX clearings_under_way ON clearings (cache, moved_at) WHERE over = 0;

-- The last entry of the journal of labels that each cache has followed.
CREATE TABLE cache_cursors (
  cache    TEXT PRIMARY KEY,
  sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
