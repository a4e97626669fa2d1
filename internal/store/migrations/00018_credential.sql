-- +goose Up
-- One table for all that clients prove who they are by, of whatever kind. The material of a secret is its hash behind the scheme that made it, as
-- password hashes are written: '$' scheme '$' hash in hexadecimal digits. (On PostgreSQL hex becomes encode.)
-- The old table is renamed first: that locks it, so that nobody adds a secret to it while it is copied.
ALTER TABLE secret RENAME TO secret_before;
CREATE TABLE credential (
  id              TEXT COLLATE BINARY PRIMARY KEY,
  client_id       TEXT COLLATE BINARY NOT NULL REFERENCES client (id) ON DELETE CASCADE,
  org_id          TEXT COLLATE BINARY NOT NULL,
  kind            TEXT NOT NULL,               -- secret
  material        TEXT COLLATE BINARY NOT NULL, -- what a proof is checked against; its form is the kind's
  hint            TEXT NOT NULL,
  description     TEXT NOT NULL,
  created_at_ms   BIGINT NOT NULL,
  created_by_id   TEXT COLLATE BINARY NOT NULL,
  created_by_name TEXT NOT NULL,
  expires_at_ms   BIGINT,
  last_used_ms    BIGINT
);
INSERT INTO credential (id, client_id, org_id, kind, material, hint, description, created_at_ms, created_by_id, created_by_name,
  expires_at_ms, last_used_ms)
  SELECT id, client_id, org_id, 'secret', '$' || scheme || '$' || lower(hex(hash)), hint, description, created_at_ms, created_by_id,
    created_by_name, expires_at_ms, last_used_ms FROM secret_before;
DROP TABLE secret_before;
CREATE INDEX credential_client ON credential (client_id);
CREATE INDEX credential_expiry ON credential (expires_at_ms);
