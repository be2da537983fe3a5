-- Hours and days, merged from minutes and hours before each commit. Written only when they have
-- ended, and again when one of their children was corrected.
CREATE TABLE IF NOT EXISTS rollup_1h (
  tenant LowCardinality(String),
  series UInt64,
  w DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
  cnt UInt32,
  sum Float64,
  mn Float64,
  mx Float64,
  first Float64,
  last Float64,
  first_ts DateTime64(3, 'UTC'),
  last_ts DateTime64(3, 'UTC'),
  m2 Float64,
  integral Float64,
  sketch Map(Int16, UInt32),
  first_text String,
  last_text String,
  final UInt8,
  part UInt16,
  corrected_at DateTime64(3, 'UTC'),
  ver UInt64
) ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(w)
ORDER BY (tenant, series, w)
TTL w + INTERVAL 1830 DAY;

CREATE TABLE IF NOT EXISTS rollup_1d (
  tenant LowCardinality(String),
  series UInt64,
  w DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)),
  cnt UInt32,
  sum Float64,
  mn Float64,
  mx Float64,
  first Float64,
  last Float64,
  first_ts DateTime64(3, 'UTC'),
  last_ts DateTime64(3, 'UTC'),
  m2 Float64,
  integral Float64,
  sketch Map(Int16, UInt32),
  first_text String,
  last_text String,
  final UInt8,
  part UInt16,
  corrected_at DateTime64(3, 'UTC'),
  ver UInt64
) ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(w)
ORDER BY (tenant, series, w)
TTL w + INTERVAL 3660 DAY;

-- What the edge took away from the device's time, where it restamped a message; else 0.
ALTER TABLE samples ADD COLUMN IF NOT EXISTS shift Int64 DEFAULT 0;

-- The numbers that devices gave their messages, as a witness of what is missing: a gap in them is a
-- message that was sent and is not here. One row per device and number, whatever was redelivered.
CREATE TABLE IF NOT EXISTS message_numbers (
  tenant LowCardinality(String),
  device String,
  seq Int64,
  ts DateTime64(3, 'UTC'),
  part UInt16,
  off UInt64,
  inv UInt64
) ENGINE = ReplacingMergeTree(inv)
PARTITION BY toYYYYMMDD(ts)
ORDER BY (tenant, device, seq, ts)
TTL toDateTime(ts) + INTERVAL 400 DAY;
