-- +goose Up
-- An organization may let its members in by single sign-on alone. sso_issuer is the provider by which a member signed in last; empty for those who never
-- did: they might not get in by it.
ALTER TABLE organization ADD COLUMN password_off BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE member ADD COLUMN sso_issuer TEXT NOT NULL DEFAULT '';
