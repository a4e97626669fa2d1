package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// InsertAuditEvent adds one event.
func (q *Q) InsertAuditEvent(ctx context.Context, e svcauth.AuditEvent) error {
	_, err := q.exec(ctx, `INSERT INTO audit_event (id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind,
		target_name, outcome, reason, before_json, after_json, ip, request_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		e.ID, e.OrganizationID, e.Time.UnixMilli(), e.Actor.ID, e.Actor.Kind, e.Actor.Name, e.Actor.ClientID, e.Action, e.Target.ID, e.Target.Kind,
		e.Target.Name, e.Outcome, e.Reason, string(e.Before), string(e.After), e.IP, e.RequestID)
	return err
}

// AuditFilter narrows a list of audit events. Empty fields do not.
type AuditFilter struct {
	Actor, Target, Action string
	Since, Until          time.Time // Since inclusive, Until exclusive
	Before                string    // the id of the last event of the page before
}

// AuditEvents reads a page of an organization's events, newest first.
func (q *Q) AuditEvents(ctx context.Context, orgID string, f AuditFilter, limit int) ([]svcauth.AuditEvent, error) {
	text := `SELECT id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind, target_name,
		outcome, reason, before_json, after_json, ip, request_id FROM audit_event WHERE org_id = $1`
	args := []any{orgID}
	where := func(condition string, value any) {
		args = append(args, value)
		text += " AND " + condition + placeholders(len(args), 1)
	}
	if f.Actor != "" {
		where("actor_id = ", f.Actor)
	}
	if f.Target != "" {
		where("target_id = ", f.Target)
	}
	if f.Action != "" {
		where("action = ", f.Action)
	}
	if !f.Since.IsZero() {
		where("at_ms >= ", f.Since.UnixMilli())
	}
	if !f.Until.IsZero() {
		where("at_ms < ", f.Until.UnixMilli())
	}
	if f.Before != "" {
		where("id < ", f.Before)
	}
	args = append(args, limit)
	return many(ctx, q, scanAuditEvent, text+" ORDER BY id DESC LIMIT "+placeholders(len(args), 1), args...)
}

func scanAuditEvent(r row) (e svcauth.AuditEvent, err error) {
	var ms int64
	var before, after string
	err = r.Scan(&e.ID, &e.OrganizationID, &ms, &e.Actor.ID, &e.Actor.Kind, &e.Actor.Name, &e.Actor.ClientID, &e.Action, &e.Target.ID, &e.Target.Kind,
		&e.Target.Name, &e.Outcome, &e.Reason, &before, &after, &e.IP, &e.RequestID)
	e.Time, e.Before, e.After = at(ms), rawJSON(before), rawJSON(after)
	return e, err
}

func rawJSON(text string) json.RawMessage {
	if text == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}
