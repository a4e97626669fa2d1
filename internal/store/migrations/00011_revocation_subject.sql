-- +goose Up
-- Whose tokens a revocation denies (a client, or an organization) and by which role and privilege, so that one that denies more takes the
-- place of many. Entries from before say nothing and stay until they have expired.
ALTER TABLE change ADD COLUMN role TEXT COLLATE BINARY NOT NULL DEFAULT '';
ALTER TABLE change ADD COLUMN privilege TEXT COLLATE BINARY NOT NULL DEFAULT '';
CREATE INDEX change_subject ON change (org_id, subject, role, privilege) WHERE kind = 'revocation';
