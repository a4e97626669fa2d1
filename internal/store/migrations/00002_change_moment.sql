-- +goose Up
-- When each entry was written, so that a node can tell how long it took to hear of it. Entries of the previous release say 0.
ALTER TABLE change ADD COLUMN at_ms BIGINT NOT NULL DEFAULT 0;
