-- What this deployment mixes into the ids of its series, so that nobody outside can compute two names
-- with one id. Made once and kept as long as the rows that have such ids; it belongs into every backup.
CREATE TABLE IF NOT EXISTS series_salt (
  salt String
) ENGINE = MergeTree
ORDER BY salt;

-- Empty where series are stored already: they keep the ids they have.
INSERT INTO series_salt
SELECT if(EXISTS (SELECT 1 FROM series), '', lower(hex(randomString(16)))) AS salt
WHERE NOT EXISTS (SELECT 1 FROM series_salt);
