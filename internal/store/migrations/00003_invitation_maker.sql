-- +goose Up
-- Who made a link: it opens only what that one could hand over. Links of the previous release say nobody and are believed until they expire.
ALTER TABLE invitation ADD COLUMN made_by_id TEXT COLLATE BINARY NOT NULL DEFAULT '';
