-- +goose Up
-- The id of a grant, which tells it from those of the same principal and role before and after it. Those that are there get one made of both ids'
-- characters: the moment and what is random of the principal's, and what is random of the role's.
ALTER TABLE role_grant ADD COLUMN id TEXT COLLATE BINARY NOT NULL DEFAULT '';
UPDATE role_grant SET id = 'grt_' || substr(principal_id, length(principal_id) - 25, 20) || substr(role_id, length(role_id) - 5, 6);
