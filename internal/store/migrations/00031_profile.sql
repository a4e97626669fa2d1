-- +goose Up
-- The form of the tokens for an API, a JSON object; empty: the usual one.
ALTER TABLE api ADD COLUMN profile TEXT NOT NULL DEFAULT '';
-- The claims that service accounts may have of their own in them, separated by spaces.
ALTER TABLE api ADD COLUMN account_claims TEXT NOT NULL DEFAULT '';
-- The API that a token of this client is for if a request names neither resource nor scope; empty: all.
ALTER TABLE client ADD COLUMN default_resource TEXT NOT NULL DEFAULT '';
-- The client's own claims, a JSON object; empty: none.
ALTER TABLE client ADD COLUMN claims TEXT NOT NULL DEFAULT '';
