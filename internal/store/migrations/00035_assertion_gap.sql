-- +goose Up
-- Up to when the uses of assertions may be incomplete. 'open': a process alone, which writes uses a moment after they were made, is at work or was
-- killed; 'crashed': the moment at which the one after such a process began; 'restored': that of a restore, since a backup has no uses.
CREATE TABLE assertion_gap (
  cause TEXT COLLATE BINARY PRIMARY KEY,
  at_ms BIGINT NOT NULL
);
