-- What becomes of a message whose times cannot be believed: refused, or moved as a whole to the time
-- at which it was received.
ALTER TABLE devices ADD COLUMN clock_policy text NOT NULL DEFAULT 'reject'
  CHECK (clock_policy IN ('reject', 'restamp'));
