-- Users who were observed in a rollout, as keyed hashes: each counts once for its sample ratio. A user
-- of whom an observation was left out counts once more, among those.
CREATE TABLE sights (
  rollout  INTEGER NOT NULL REFERENCES rollouts (id),
  excluded INTEGER NOT NULL CHECK (excluded IN (0, 1)),
  user     INTEGER NOT NULL,
  PRIMARY KEY (rollout, excluded, user)
) STRICT, WITHOUT ROWID;

-- Rollouts that are over, and whose users are still to be forgotten.
CREATE TABLE sights_to_forget (
  rollout INTEGER PRIMARY KEY REFERENCES rollouts (id)
) STRICT;

-- Who came, and what was left out, in one tick of one rollout.
CREATE TABLE headcounts (
  rollout INTEGER NOT NULL REFERENCES rollouts (id),
  tick    INTEGER NOT NULL,
  counts  BLOB NOT NULL,
  PRIMARY KEY (rollout, tick)
) STRICT, WITHOUT ROWID;
