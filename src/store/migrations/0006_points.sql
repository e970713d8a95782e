-- The numbers of rollouts over time, for charts: a bounded number of points of each.

CREATE TABLE points (
  rollout INTEGER NOT NULL REFERENCES rollouts (id),
  tick    INTEGER NOT NULL,
  point   TEXT NOT NULL,
  PRIMARY KEY (rollout, tick)
) STRICT, WITHOUT ROWID;
