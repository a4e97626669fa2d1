-- +goose Up
-- Which tokens a revocation spares, because they are bound (any, dpop or mtls); empty: none. So one that spares some takes the place of none
-- that spares fewer. A program from before doesn't write it, and denies those too: more than it must.
ALTER TABLE change ADD COLUMN unless_bound TEXT COLLATE BINARY NOT NULL DEFAULT '';
