-- A device has several credentials. Each has a name and a time in which it works, and after a
-- rotation the secret it had works on for as long as was asked for.
ALTER TABLE device_credentials
  ADD COLUMN name text NOT NULL DEFAULT 'first'
    CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$'),
  -- Null: from the beginning, without an end.
  ADD COLUMN not_before timestamptz,
  ADD COLUMN not_after timestamptz,
  ADD COLUMN last_used_at timestamptz,
  ADD COLUMN former_hash bytea UNIQUE,
  ADD COLUMN former_until timestamptz,
  ADD CHECK (not_before < not_after),
  ADD CHECK ((former_hash IS NULL) = (former_until IS NULL)),
  ADD UNIQUE (tenant, device, name);
DROP INDEX device_credentials_device;

-- Not when only its last use is noted.
DROP TRIGGER device_credentials_changed ON device_credentials;
CREATE TRIGGER device_credentials_changed
  AFTER INSERT OR DELETE OR UPDATE OF secret_hash, former_hash, former_until, not_before, not_after
  ON device_credentials FOR EACH ROW EXECUTE FUNCTION notify_device_changed();
