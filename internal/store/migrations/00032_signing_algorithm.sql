-- +goose Up
-- The algorithm of tokens whose profile names none, as the node that started last has it configured; empty before the first start.
CREATE TABLE signing_algorithm (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  algorithm TEXT NOT NULL
);
INSERT INTO signing_algorithm (id, algorithm) VALUES (1, '');
