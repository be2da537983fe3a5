-- What identifies a device beyond its id, how often it was changed, and why it is in its state.
ALTER TABLE devices
  -- A device that is made again under an id is another one.
  ADD COLUMN uid uuid NOT NULL DEFAULT gen_random_uuid(),
  ADD COLUMN version bigint NOT NULL DEFAULT 1,
  ADD COLUMN state_reason text NOT NULL DEFAULT '',
  ADD COLUMN state_by text NOT NULL DEFAULT 'system',
  ADD COLUMN state_at timestamptz NOT NULL DEFAULT now();
UPDATE devices SET state_at = created_at;
