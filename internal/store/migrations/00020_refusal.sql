-- +goose Up
-- What OAuth2 clients were refused. Equal refusals of an hour are one row, and a client has few rows: strangers who know its id can't make it grow.
CREATE TABLE refusal (
  id            TEXT COLLATE BINARY PRIMARY KEY, -- a hash of what equal refusals share
  org_id        TEXT COLLATE BINARY NOT NULL,  -- empty: no client was recognized. No foreign key: a row outlives its client
  client_id     TEXT COLLATE BINARY NOT NULL,  -- empty with it
  proven        BOOLEAN NOT NULL,              -- the client had proven who it is
  first_ms      BIGINT NOT NULL,
  last_ms       BIGINT NOT NULL,
  count         BIGINT NOT NULL,
  endpoint      TEXT NOT NULL,
  code          TEXT NOT NULL,
  reason        TEXT NOT NULL,
  detail        TEXT NOT NULL,
  credential_id TEXT NOT NULL,
  ip            TEXT NOT NULL,                 -- of the last one; empty: of several
  user_agent    TEXT NOT NULL,
  request_ids   TEXT COLLATE BINARY NOT NULL   -- of the newest, separated by spaces
);
CREATE INDEX refusal_client ON refusal (client_id, last_ms);
CREATE INDEX refusal_age ON refusal (last_ms);
