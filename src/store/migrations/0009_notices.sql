-- Who is to be told of a transition, by the place in the `notify` of the policy that it ran under.
CREATE TABLE notices (
  id       INTEGER PRIMARY KEY,
  rollout  INTEGER NOT NULL REFERENCES rollouts (id),
  -- The transition that it tells of.
  record   INTEGER NOT NULL REFERENCES audit (sequence),
  place    INTEGER NOT NULL,
  notice   TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  tried_at TEXT,
  -- When it may be tried, in microseconds of the Unix epoch, to compare.
  due      INTEGER NOT NULL,
  finished INTEGER NOT NULL CHECK (finished IN (0, 1)),
  outcome  TEXT
) STRICT;

CREATE INDEX notices_unfinished ON notices (rollout, place, id) WHERE finished = 0;
