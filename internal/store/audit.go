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

// The values of an event's seq before it has one.
const (
	auditWhole   = 0  // the row is written once
	auditGrowing = -1 // equal events may be joined to it until its minute is over
)

// InsertAuditEvent adds an event. Whatever has the form of a client secret is
// redacted, in whichever field it was typed.
func (q *Q) InsertAuditEvent(ctx context.Context, e svcauth.AuditEvent) error {
	_, err := q.insertAuditEvent(ctx, e, auditWhole)
	return err
}

// JoinAuditEvent adds an event that stands for e.Count equal ones of a minute.
// If its row is there already, the row's count grows. If that row has its place
// in the log by now, which somebody may have read, a row of its own tells of
// the rest, so that a reader of the log misses none and counts none twice.
func (q *Q) JoinAuditEvent(ctx context.Context, e svcauth.AuditEvent) error {
	n, err := q.insertAuditEvent(ctx, e, auditGrowing)
	if err == nil && n == 0 {
		e.ID = typeid.New(svcauth.PrefixEvent, e.Time)
		_, err = q.insertAuditEvent(ctx, e, auditGrowing)
	}
	return err
}

func (q *Q) insertAuditEvent(ctx context.Context, e svcauth.AuditEvent, seq int64) (n int64, err error) {
	conflict := ""
	if seq == auditGrowing {
		conflict = ` ON CONFLICT (id) DO UPDATE SET count = audit_event.count + excluded.count
			WHERE audit_event.seq <= 0`
	}
	return q.exec(ctx, `INSERT INTO audit_event (id, org_id, at_ms,
		actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind, target_name,
		outcome, reason, before_json, after_json, ip, request_id, count, seq)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`+conflict,
		e.ID, e.OrganizationID, e.Time.UnixMilli(),
		e.Actor.ID, e.Actor.Kind, untrusted.RedactSecrets(e.Actor.Name), e.Actor.ClientID, e.Action,
		untrusted.RedactSecrets(e.Target.ID), e.Target.Kind, untrusted.RedactSecrets(e.Target.Name),
		e.Outcome, untrusted.RedactSecrets(e.Reason),
		untrusted.RedactSecrets(string(e.Before)), untrusted.RedactSecrets(string(e.After)),
		e.IP, e.RequestID, max(1, e.Count), seq)
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
