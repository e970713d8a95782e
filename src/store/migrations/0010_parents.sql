-- What else changes with a label, as it was known when its move was committed.

-- JSON; null where nothing else does.
ALTER TABLE effects ADD COLUMN parents TEXT;
