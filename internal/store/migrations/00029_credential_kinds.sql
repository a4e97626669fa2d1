-- +goose Up
-- Credentials of further kinds: key, federated, certificate. lookup is by what a federated credential is found without a client_id, a hash of issuer and
-- subject; empty for the others.
ALTER TABLE credential ADD COLUMN lookup TEXT COLLATE BINARY NOT NULL DEFAULT '';
CREATE INDEX credential_lookup ON credential (org_id, lookup) WHERE lookup <> '';
-- What of an assertion may be used once (RFC 7523 §3, jti), until it would be refused anyway.
CREATE TABLE assertion_use (
  id            TEXT COLLATE BINARY PRIMARY KEY, -- a hash of client and jti
  client_id     TEXT COLLATE BINARY NOT NULL,
  expires_at_ms BIGINT NOT NULL
);
CREATE INDEX assertion_use_expiry ON assertion_use (expires_at_ms);
CREATE INDEX assertion_use_client ON assertion_use (client_id, expires_at_ms);
-- The same of many, that a process alone has remembered and leaves for the one after it: a line "id client expires_at_ms organization" each.
CREATE TABLE assertion_use_batch (
  id            TEXT COLLATE BINARY PRIMARY KEY,
  uses          TEXT NOT NULL,
  expires_at_ms BIGINT NOT NULL -- of the one that lasts longest
);
CREATE INDEX assertion_use_batch_expiry ON assertion_use_batch (expires_at_ms);
-- By what the clients of an organization may prove who they are.
ALTER TABLE organization ADD COLUMN shared_secrets TEXT NOT NULL DEFAULT 'allowed';
ALTER TABLE organization ADD COLUMN application_keys TEXT NOT NULL DEFAULT 'allowed';
