-- Tenants, API keys, devices and their credentials.
CREATE TABLE tenants (
  id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Secrets are stored as HMAC-SHA-256 under the deployment's key; they are generated with at least
-- 128 bits, so a slow hash would add nothing.
CREATE TABLE api_keys (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text NOT NULL REFERENCES tenants (id),
  name text NOT NULL,
  key_hash bytea NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant, name)
);

CREATE TABLE devices (
  tenant text NOT NULL REFERENCES tenants (id),
  id text NOT NULL CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$'),
  name text NOT NULL,
  state text NOT NULL DEFAULT 'active'
    CHECK (state IN ('pending', 'active', 'suspended', 'quarantined', 'retired')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant, id)
);

CREATE TABLE device_credentials (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text NOT NULL,
  device text NOT NULL,
  username text NOT NULL,
  secret_hash bytea NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (tenant, device) REFERENCES devices (tenant, id) ON DELETE CASCADE
);
CREATE INDEX device_credentials_device ON device_credentials (tenant, device);

-- Connectors LISTEN on device_changed; the payload is `tenant/device`.
CREATE FUNCTION notify_device_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed record := COALESCE(NEW, OLD);
BEGIN
  IF TG_TABLE_NAME = 'devices' THEN
    PERFORM pg_notify('device_changed', changed.tenant || '/' || changed.id);
  ELSE
    PERFORM pg_notify('device_changed', changed.tenant || '/' || changed.device);
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER devices_changed AFTER INSERT OR UPDATE OR DELETE ON devices
  FOR EACH ROW EXECUTE FUNCTION notify_device_changed();
CREATE TRIGGER device_credentials_changed AFTER INSERT OR UPDATE OR DELETE ON device_credentials
  FOR EACH ROW EXECUTE FUNCTION notify_device_changed();
