-- +goose Up
-- How many equal events a row tells of: refusals of one kind are joined into
-- one row a minute, so that nobody can bury the rest.
ALTER TABLE audit_event ADD COLUMN count BIGINT NOT NULL DEFAULT 1;
