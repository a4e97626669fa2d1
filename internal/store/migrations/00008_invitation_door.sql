-- +goose Up
-- A link keeps what the request that made it could hand over ('*': whatever its maker holds), and what became of its mail. One that says nobody made it opens no more.
ALTER TABLE invitation ADD COLUMN maker_org_id TEXT COLLATE BINARY NOT NULL DEFAULT '';
ALTER TABLE invitation ADD COLUMN hands_over TEXT NOT NULL DEFAULT '*';
ALTER TABLE invitation ADD COLUMN mail_state TEXT NOT NULL DEFAULT '';
ALTER TABLE invitation ADD COLUMN mail_at_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE invitation ADD COLUMN mail_problem TEXT NOT NULL DEFAULT '';
UPDATE invitation SET maker_org_id = org_id;
-- Addresses are kept in lower case. Only ASCII letters have another one: beyond them Unicode's rules make one person's address another's.
UPDATE member SET email = lower(email COLLATE BINARY);
