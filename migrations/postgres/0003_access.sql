-- What a key may do, for how long, and which secret it had before.
ALTER TABLE api_keys
  ADD COLUMN role text NOT NULL DEFAULT 'admin' CHECK (role IN ('viewer', 'operator', 'admin')),
  -- Null: all that the role may do.
  ADD COLUMN scopes text[],
  ADD COLUMN expires_at timestamptz,
  ADD COLUMN last_used_at timestamptz,
  -- The secret before the last rotation works on until then.
  ADD COLUMN former_hash bytea UNIQUE,
  ADD COLUMN former_until timestamptz,
  ADD CHECK ((former_hash IS NULL) = (former_until IS NULL));

-- Who changed what, in the transaction that changed it. Holds no secret and no hash of one.
CREATE TABLE changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text NOT NULL REFERENCES tenants (id),
  at timestamptz NOT NULL DEFAULT now(),
  -- `key:NAME`, or `system` where the deployment itself did it.
  actor text NOT NULL,
  address text NOT NULL,
  -- Such as `device.create`.
  action text NOT NULL,
  -- Such as `device/pump-1`.
  subject text NOT NULL,
  before jsonb,
  after jsonb
);
CREATE INDEX changes_of_tenant ON changes (tenant, id DESC);
CREATE INDEX changes_of_subject ON changes (tenant, subject, id DESC);

-- The api LISTENs on access_changed; the payload is `tenant/name` of a key.
CREATE FUNCTION notify_access_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed record := COALESCE(NEW, OLD);
BEGIN
  PERFORM pg_notify('access_changed', changed.tenant || '/' || changed.name);
  RETURN NULL;
END $$;

-- Not when only its last use is noted.
CREATE TRIGGER api_keys_changed
  AFTER INSERT OR DELETE OR UPDATE OF key_hash, former_hash, former_until, role, scopes, expires_at
  ON api_keys FOR EACH ROW EXECUTE FUNCTION notify_access_changed();
