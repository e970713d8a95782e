-- Scores that other systems' clients sent, to be read again; what counts of them is in the tallies.
-- A time is text in `at`, as everywhere, and microseconds of the Unix epoch in `at_micros`, to compare.
CREATE TABLE scores (
  sequence    INTEGER PRIMARY KEY,
  id          TEXT NOT NULL UNIQUE,
  name        TEXT NOT NULL,
  kind        TEXT NOT NULL,
  number      REAL,
  words       TEXT,
  trace       TEXT,
  observation TEXT,
  session     TEXT,
  dataset_run TEXT,
  origin      TEXT NOT NULL,
  environment TEXT NOT NULL,
  config      TEXT,
  queue       TEXT,
  comment     TEXT,
  metadata    TEXT NOT NULL,
  at          TEXT NOT NULL,
  at_micros   INTEGER NOT NULL,
  created_at  TEXT NOT NULL,
  updated_at  TEXT NOT NULL,
  -- Whether it is not known yet what was served where it was scored.
  waiting     INTEGER NOT NULL CHECK (waiting IN (0, 1))
) STRICT;

CREATE INDEX scores_by_trace ON scores (trace, sequence) WHERE trace IS NOT NULL;
CREATE INDEX scores_by_session ON scores (session, sequence) WHERE session IS NOT NULL;
CREATE INDEX scores_by_observation ON scores (observation, sequence) WHERE observation IS NOT NULL;
CREATE INDEX scores_by_name ON scores (name, sequence);

-- What was served where a model was called: a receipt for each policy whose prompt was used there.
CREATE TABLE served (
  sequence    INTEGER PRIMARY KEY,
  trace       TEXT NOT NULL,
  observation TEXT NOT NULL,
  session     TEXT,
  policy      TEXT NOT NULL,
  receipt     TEXT NOT NULL,
  UNIQUE (trace, observation, policy)
) STRICT;

CREATE INDEX served_by_session ON served (session) WHERE session IS NOT NULL;
CREATE INDEX served_by_observation ON served (observation);
