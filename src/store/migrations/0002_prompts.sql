CREATE TABLE prompts (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('text', 'chat'))
) STRICT;

CREATE TABLE prompt_versions (
  prompt     INTEGER NOT NULL REFERENCES prompts (id),
  version    INTEGER NOT NULL CHECK (version > 0),
  created_at TEXT NOT NULL,
  author     TEXT NOT NULL,
  draft      TEXT NOT NULL,
  PRIMARY KEY (prompt, version)
) STRICT;

CREATE TRIGGER prompt_versions_not_updated BEFORE UPDATE ON prompt_versions
BEGIN SELECT RAISE(ABORT, 'versions are immutable'); END;

CREATE TRIGGER prompt_versions_not_deleted BEFORE DELETE ON prompt_versions
BEGIN SELECT RAISE(ABORT, 'versions are immutable'); END;

CREATE TABLE labels (
  prompt  INTEGER NOT NULL,
  label   TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (prompt, label),
  FOREIGN KEY (prompt, version) REFERENCES prompt_versions (prompt, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE protected_labels (
  prompt INTEGER NOT NULL REFERENCES prompts (id),
  label  TEXT NOT NULL,
  PRIMARY KEY (prompt, label)
) STRICT, WITHOUT ROWID;

CREATE TABLE label_changes (
  sequence     INTEGER PRIMARY KEY,
  prompt       INTEGER NOT NULL REFERENCES prompts (id),
  label        TEXT NOT NULL,
  from_version INTEGER,
  to_version   INTEGER,
  at           TEXT NOT NULL,
  actor        TEXT NOT NULL,
  reason       TEXT NOT NULL,
  rollout      INTEGER,
  generation   INTEGER
) STRICT;

CREATE INDEX label_changes_by_prompt ON label_changes (prompt, sequence);
CREATE INDEX label_changes_by_label ON label_changes (prompt, label, sequence);
CREATE INDEX label_changes_by_rollout ON label_changes (prompt, label, rollout);

CREATE TRIGGER label_changes_not_updated BEFORE UPDATE ON label_changes
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER label_changes_not_deleted BEFORE DELETE ON label_changes
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- The highest generation of each rollout that asked for a move of one of the prompt's labels.
CREATE TABLE label_fences (
  prompt     INTEGER NOT NULL REFERENCES prompts (id),
  rollout    INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY (prompt, rollout)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluations (
  id      INTEGER PRIMARY KEY,
  prompt  INTEGER NOT NULL,
  version INTEGER NOT NULL,
  dataset TEXT NOT NULL,
  at      TEXT NOT NULL,
  actor   TEXT NOT NULL,
  scores  TEXT NOT NULL,
  FOREIGN KEY (prompt, version) REFERENCES prompt_versions (prompt, version)
) STRICT;

CREATE INDEX evaluations_by_version ON evaluations (prompt, version, id);
