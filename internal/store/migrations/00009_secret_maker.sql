-- +goose Up
-- Who made a secret, as text that outlives who made it. For those that are there: as the audit log has it, else who made the account together
-- with it, else nobody.
ALTER TABLE secret ADD COLUMN created_by_id TEXT COLLATE BINARY NOT NULL DEFAULT '';
ALTER TABLE secret ADD COLUMN created_by_name TEXT NOT NULL DEFAULT '';
UPDATE secret SET
  created_by_id = COALESCE(
    (SELECT a.actor_id FROM audit_event a WHERE a.org_id = secret.org_id AND a.target_id = secret.id AND a.action = 'secret.create' AND a.outcome = 'done'
      ORDER BY a.id LIMIT 1),
    (SELECT c.created_by_id FROM client c WHERE c.id = secret.client_id AND c.created_at_ms = secret.created_at_ms), ''),
  created_by_name = COALESCE(
    (SELECT a.actor_name FROM audit_event a WHERE a.org_id = secret.org_id AND a.target_id = secret.id AND a.action = 'secret.create' AND a.outcome = 'done'
      ORDER BY a.id LIMIT 1),
    (SELECT c.created_by_name FROM client c WHERE c.id = secret.client_id AND c.created_at_ms = secret.created_at_ms), '');
