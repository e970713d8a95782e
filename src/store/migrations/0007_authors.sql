-- Who wrote the candidate of a rollout, where its policy asks for approval and the registry tells.
ALTER TABLE rollouts ADD COLUMN author TEXT;
