-- +goose Up
-- A removed organization is there for nobody. Its row stays until what was in it has been deleted, in small portions.
ALTER TABLE organization ADD COLUMN removed BOOLEAN NOT NULL DEFAULT FALSE;
