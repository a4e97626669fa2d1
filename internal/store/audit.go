package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// InsertAuditEvent adds an event. If its row is there already, because equal
// events are joined, only the row's count grows, by the event's. Whatever has
// the form of a client secret is redacted, in whichever field it was typed.
func (q *Q) InsertAuditEvent(ctx context.Context, e svcauth.AuditEvent) error {
	_, err := q.exec(ctx, `INSERT INTO audit_event (id, org_id, at_ms,
		actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind, target_name,
		outcome, reason, before_json, after_json, ip, request_id, count)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
		ON CONFLICT (id) DO UPDATE SET count = audit_event.count + excluded.count`,
		e.ID, e.OrganizationID, e.Time.UnixMilli(),
		e.Actor.ID, e.Actor.Kind, untrusted.RedactSecrets(e.Actor.Name), e.Actor.ClientID, e.Action,
		untrusted.RedactSecrets(e.Target.ID), e.Target.Kind, untrusted.RedactSecrets(e.Target.Name),
		e.Outcome, untrusted.RedactSecrets(e.Reason),
		untrusted.RedactSecrets(string(e.Before)), untrusted.RedactSecrets(string(e.After)),
		e.IP, e.RequestID, max(1, e.Count))
	return err
}

// AuditSystem adds an event of something that the server itself did for all
// organizations, such as a rotation of keys, to the operator's log. Before
// bootstrap there is no operator, and nothing is written.
func (q *Q) AuditSystem(ctx context.Context, now time.Time, action string, target svcauth.AuditTarget,
	before, after any,
) error {
	org, err := q.OperatorOrganization(ctx)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	e := svcauth.AuditEvent{
		ID: typeid.New(svcauth.PrefixEvent, now), Time: now, OrganizationID: org.ID,
		Actor:  svcauth.AuditActor{ID: svcauth.KindSystem, Kind: svcauth.KindSystem, Name: "svcauth"},
		Action: action, Target: target, Outcome: svcauth.OutcomeDone,
	}
	for _, side := range []struct {
		of   any
		into *json.RawMessage
	}{{before, &e.Before}, {after, &e.After}} {
		if side.of == nil {
			continue
		}
		if *side.into, err = json.Marshal(side.of); err != nil {
			return fmt.Errorf("write an audit event: %w", err)
		}
	}
	return q.InsertAuditEvent(ctx, e)
}

// AuditFilter narrows a list of audit events. Empty fields do not narrow it.
type AuditFilter struct {
	Actor, Target, Action string
	Since, Until          time.Time // Since inclusive, Until exclusive
	Before                string    // the id of the last event of the page before
}

// AuditEvents reads a page of an organization's events, newest first.
func (q *Q) AuditEvents(ctx context.Context, orgID string, f AuditFilter, limit int) ([]svcauth.AuditEvent, error) {
	text := `SELECT id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action,
		target_id, target_kind, target_name, outcome, reason, before_json, after_json, ip, request_id, count
		FROM audit_event WHERE org_id = $1`
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
	err = r.Scan(&e.ID, &e.OrganizationID, &ms, &e.Actor.ID, &e.Actor.Kind, &e.Actor.Name, &e.Actor.ClientID,
		&e.Action, &e.Target.ID, &e.Target.Kind, &e.Target.Name, &e.Outcome, &e.Reason,
		&before, &after, &e.IP, &e.RequestID, &e.Count)
	e.Time, e.Before, e.After = at(ms), rawJSON(before), rawJSON(after)
	return e, err
}

func rawJSON(text string) json.RawMessage {
	if text == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}
