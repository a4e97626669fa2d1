-- +goose Up
-- What the tokens of a service account must be bound to (RFC 9449, RFC 8705 §3): none, any, dpop or mtls.
ALTER TABLE client ADD COLUMN token_binding TEXT NOT NULL DEFAULT 'none';
-- Whether a role is given by bound tokens only.
ALTER TABLE role ADD COLUMN requires_binding BOOLEAN NOT NULL DEFAULT FALSE;
