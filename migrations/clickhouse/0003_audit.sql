-- What the auditor found, by tenant and hour of arrival (append time in Kafka). The row without a
-- tenant sums up all of them, unreadable records included, and says that the hour was audited.
CREATE TABLE IF NOT EXISTS audit_hours (
  tenant LowCardinality(String),
  hour DateTime('UTC'),
  records UInt64,
  unreadable UInt64,
  produced UInt64,
  duplicates UInt64,
  refused UInt64,
  stored UInt64,
  missing UInt64,
  invented UInt64,
  altered UInt64,
  letters_missing UInt64,
  dead_letters Map(String, UInt64),
  corrected UInt64,
  series_checked UInt64,
  windows_checked UInt64,
  windows_wrong UInt64,
  numbers_present UInt64,
  numbers_missing UInt64,
  -- 0 where the log had lost the beginning of the hour to its retention.
  whole UInt8,
  finding_count UInt64,
  -- The first of each kind, as sentences.
  findings Array(String),
  audited_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree(audited_at)
PARTITION BY toYYYYMM(hour)
ORDER BY (tenant, hour)
TTL hour + INTERVAL 1830 DAY;

-- The audit asks for rows by the records they come from. Within a part of the table these lie close
-- together, so parts of other days are passed over without being read.
ALTER TABLE samples ADD INDEX IF NOT EXISTS by_offset off TYPE minmax GRANULARITY 4;
