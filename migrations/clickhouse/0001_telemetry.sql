-- Raw truth. One row per (series, ts); of several deliveries the earliest wins, because its `inv`
-- (2^63 - (topicEpoch << 48 | off)) is the largest.
CREATE TABLE IF NOT EXISTS samples (
  tenant LowCardinality(String),
  series UInt64,
  ts DateTime64(3, 'UTC'),
  value Float64,
  text String,
  flags UInt8,
  part UInt16,
  off UInt64,
  inv UInt64
) ENGINE = ReplacingMergeTree(inv)
PARTITION BY toYYYYMMDD(ts)
ORDER BY (tenant, series, ts)
TTL toDateTime(ts) + INTERVAL 400 DAY;

-- What a series id stands for. The id is a hash of device, metric and kind; two names with one
-- hash are detected when the row is written.
CREATE TABLE IF NOT EXISTS series (
  tenant LowCardinality(String),
  device String,
  metric String,
  kind LowCardinality(String),
  series UInt64
) ENGINE = ReplacingMergeTree
ORDER BY (tenant, device, metric, kind);

-- Absolute rows: the highest `ver` of a window holds every sample that lower ones held.
CREATE TABLE IF NOT EXISTS rollup_10s (
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
PARTITION BY toYYYYMMDD(w)
ORDER BY (tenant, series, w)
TTL w + INTERVAL 90 DAY;

CREATE TABLE IF NOT EXISTS rollup_1m (
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
PARTITION BY toYYYYMMDD(w)
ORDER BY (tenant, series, w)
TTL w + INTERVAL 400 DAY;
