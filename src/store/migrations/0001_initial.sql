-- Times are RFC 3339 text, because people read this file with other tools; ticks are seconds of the Unix epoch.

CREATE TABLE secret (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  bytes BLOB NOT NULL CHECK (length(bytes) = 32)
) STRICT;

CREATE TABLE policy_sources (
  revision BLOB PRIMARY KEY CHECK (length(revision) = 32),
  source   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rollouts (
  id               INTEGER PRIMARY KEY,
  policy           TEXT NOT NULL,
  revision         BLOB NOT NULL REFERENCES policy_sources (revision),
  stable           INTEGER NOT NULL,
  candidate        INTEGER NOT NULL,
  phase            TEXT NOT NULL,
  over             INTEGER NOT NULL CHECK (over IN (0, 1)),
  generation       INTEGER NOT NULL,
  started_at       TEXT NOT NULL,
  entered_at       TEXT NOT NULL,
  changed_at       TEXT NOT NULL,
  treated_at_entry INTEGER NOT NULL,
  stepped_back     INTEGER NOT NULL CHECK (stepped_back IN (0, 1)),
  promoted         INTEGER NOT NULL CHECK (promoted IN (0, 1)),
  fail_overruled   INTEGER NOT NULL CHECK (fail_overruled IN (0, 1)),
  approvals        TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX rollouts_running ON rollouts (policy) WHERE over = 0;
CREATE INDEX rollouts_by_policy ON rollouts (policy, id);

CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY,
  rollout  INTEGER NOT NULL REFERENCES rollouts (id),
  at       TEXT NOT NULL,
  event    TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_rollout ON audit (rollout, sequence);

CREATE TRIGGER audit_not_updated BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;

CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END;

CREATE TABLE effects (
  id           INTEGER PRIMARY KEY,
  rollout      INTEGER NOT NULL REFERENCES rollouts (id),
  generation   INTEGER NOT NULL,
  prompt       TEXT NOT NULL,
  label        TEXT NOT NULL,
  from_version INTEGER,
  to_version   INTEGER NOT NULL,
  attempts     INTEGER NOT NULL,
  finished     INTEGER NOT NULL CHECK (finished IN (0, 1)),
  outcome      TEXT
) STRICT;

CREATE INDEX effects_unfinished ON effects (id) WHERE finished = 0;

CREATE TABLE checkpoints (
  rollout INTEGER PRIMARY KEY REFERENCES rollouts (id),
  through INTEGER NOT NULL,
  engine  BLOB NOT NULL
) STRICT;

-- Both arms of one metric of one rollout in one tick.
CREATE TABLE tallies (
  rollout INTEGER NOT NULL REFERENCES rollouts (id),
  tick    INTEGER NOT NULL,
  metric  TEXT NOT NULL,
  arms    BLOB NOT NULL,
  PRIMARY KEY (rollout, tick, metric)
) STRICT, WITHOUT ROWID;

-- The last tick that somebody was told is closed; no tally may be added to it or to an earlier one.
CREATE TABLE closed (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  through INTEGER NOT NULL
) STRICT;

-- What was counted, so that a repeat is not: observations by their ids, requests by their keys.
-- Ids come into the log first, 16 bytes each, and are moved to the table when there are many.
CREATE TABLE seen_log (
  sequence INTEGER PRIMARY KEY,
  ids      BLOB NOT NULL
) STRICT;

CREATE TABLE seen_observations (
  id   BLOB PRIMARY KEY CHECK (length(id) = 16),
  tick INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE seen_batches (
  key    BLOB PRIMARY KEY CHECK (length(key) = 32),
  body   BLOB NOT NULL CHECK (length(body) = 32),
  answer TEXT NOT NULL,
  tick   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX seen_batches_by_tick ON seen_batches (tick);

CREATE TABLE tokens (
  id         INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  scopes     TEXT NOT NULL,
  created_at TEXT NOT NULL,
  revoked_at TEXT
) STRICT;

CREATE UNIQUE INDEX tokens_in_use ON tokens (name) WHERE revoked_at IS NULL;
