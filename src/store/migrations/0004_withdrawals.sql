-- Versions that somebody deleted: nobody fetches or labels them any more, and the history keeps them.
CREATE TABLE withdrawn_versions (
  prompt  INTEGER NOT NULL,
  version INTEGER NOT NULL,
  at      TEXT NOT NULL,
  actor   TEXT NOT NULL,
  PRIMARY KEY (prompt, version),
  FOREIGN KEY (prompt, version) REFERENCES prompt_versions (prompt, version)
) STRICT, WITHOUT ROWID;

CREATE VIEW offered_versions AS
SELECT prompt, version, created_at, author, draft FROM prompt_versions AS every
WHERE NOT EXISTS (
  SELECT 1 FROM withdrawn_versions AS withdrawn
  WHERE withdrawn.prompt = every.prompt AND withdrawn.version = every.version
);
