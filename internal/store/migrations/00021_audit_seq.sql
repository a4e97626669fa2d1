-- +goose Up
-- The order in which an organization's log is followed: an event's seq is 1 for the first, and no smaller one is committed once a greater one can be
-- read. 0: none yet. -1: none before its minute is over, for equal events may still be joined to it.
ALTER TABLE audit_event ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX audit_event_seq ON audit_event (org_id, seq) WHERE seq > 0;
CREATE INDEX audit_event_unnumbered ON audit_event (id) WHERE seq <= 0;
-- What the log is asked for beside ids.
CREATE INDEX audit_event_action ON audit_event (org_id, action, id);
CREATE INDEX audit_event_actor_name ON audit_event (org_id, actor_name, id);
CREATE INDEX audit_event_target_name ON audit_event (org_id, target_name, id);
