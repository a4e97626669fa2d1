-- +goose Up
-- An organization reads its own revocations, and costs nobody more than that.
CREATE INDEX change_organization ON change (org_id, seq) WHERE kind = 'revocation';
