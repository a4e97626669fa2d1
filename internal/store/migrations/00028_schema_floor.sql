-- +goose Up
-- Which programs the schema still takes: those that know this migration. See migrate.go.
CREATE TABLE schema_floor (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  migration BIGINT NOT NULL
);
INSERT INTO schema_floor (id, migration) VALUES (1, 28);
