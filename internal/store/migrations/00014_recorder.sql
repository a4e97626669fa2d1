-- +goose Up
-- How far each node has come with recording in Redis which tokens it issued. A node that ends with everything recorded leaves no row: of whom there is an old one,
-- or one that lags, lists of live tokens may lack some.
CREATE TABLE recorder (
  node              TEXT COLLATE BINARY PRIMARY KEY,
  seen_at_ms        BIGINT NOT NULL,           -- when the node last said so
  recorded_until_ms BIGINT NOT NULL            -- all tokens issued until then are on record
);
CREATE INDEX recorder_seen ON recorder (seen_at_ms);
