package access

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Operation says what is about to happen, for the check and for the audit log.
type Operation struct {
	Requires string // the privilege; empty: any actor, and the body checks
	Action   string // noun.verb
	Target   svcauth.AuditTarget
	// Access: it creates, changes or removes service accounts or grants roles.
	// A service account may do that only if its organization lets it.
	Access bool
	// Operator: only from the operator's own organization.
	Operator bool
}

// Record is what the audit log says of a change.
type Record struct {
	Now    time.Time
	Actor  Actor
	Target svcauth.AuditTarget
	// Before and After are never a secret. nil: nothing there.
	Before, After any
}

// Tx is a transaction that changes something. Its methods write what belongs
// to every change.
type Tx struct {
	*store.Q
	Record        // the change may complete its Target, Before and After
	Also   string // another organization in whose log it stands; empty: none
	Silent bool   // nothing changed (an idempotent repeat): no audit event

	// Caution is what the request says of what there is to warn of. A change
	// that can have that sets it first of all.
	Caution svcauth.Caution

	s        *Service
	warnings []string
	revoked  []string // what the Observer is told of once it is committed
	policies []string // organizations for which countPolicy has counted
}

// Change runs a change. It checks the caller, runs do in a transaction, and
// writes the audit event in the same one. If do or the check returns a problem,
// nothing has changed and the refusal is audited.
func (s *Service) Change(ctx context.Context, op Operation, do func(context.Context, *Tx) error) error {
	actor, err := Caller(ctx, op.Requires)
	if actor.ID == "" {
		return err
	}
	t := s.tx(nil, actor)
	t.Target = op.Target
	if err == nil && op.Operator && !actor.Operator {
		err = notOperator()
	}
	if err == nil {
		err = s.cfg.Store.WriteInTurn(ctx, store.Turn{
			OrgID: actor.OrgID,
			First: takesAway[op.Action],
		}, func(q *store.Q) error {
			t.Q = q
			if op.Access {
				if err := t.mayManageAccess(ctx); err != nil {
					return err
				}
			}
			if err := do(ctx, t); err != nil {
				return err
			}
			if err := t.judged(); err != nil || t.Silent {
				return err
			}
			return t.Audit(ctx, op.Action)
		})
	}
	if err == nil {
		t.tellRevoked()
	} else {
		for _, orgID := range t.policies {
			s.policies.TakeBack(orgID, t.Now)
		}
	}
	err = Problem(err, t.Target)
	var refusal *svcauth.Problem
	if errors.As(err, &refusal) {
		s.auditRefusal(t, op.Action, refusal)
	}
	return err
}

// tx makes the transaction of a change by an actor.
func (s *Service) tx(q *store.Q, actor Actor) *Tx {
	return &Tx{Q: q, Record: Record{Now: s.now(), Actor: actor}, s: s}
}

// SystemChange runs a change that the server itself makes, in no organization.
// Nobody is asked, and do writes the audit events.
func (s *Service) SystemChange(ctx context.Context, do func(*Tx) error) error {
	t := s.tx(nil, System(""))
	err := s.cfg.Store.Write(ctx, func(q *store.Q) error {
		t.Q = q
		return do(t)
	})
	if err == nil {
		t.tellRevoked()
	}
	return err
}

// takesAway has the actions that take something away from somebody, or may.
// They wait for no others.
var takesAway = map[string]bool{
	"token.revoke": true, "service_account.revoke_tokens": true, "service_account.delete": true,
	"service_account.update":        true,
	"service_account.unassign_role": true, "secret.delete": true, "member.delete": true, "member.update": true,
	"member.unassign_role": true,
	"member.sign_out":      true, "member.set_password": true, "member.reset": true, "application_key.delete": true,
	"role.update": true, "role.delete": true, "organization.update": true, "organization.delete": true,
	"signing_key.revoke": true,
}

// Audit writes the event of a change, and a copy for another organization that
// must see it. What the operator changes in a tenant stands in both logs; the
// tenant's has no address of the operator's.
func (t *Tx) Audit(ctx context.Context, action string) error {
	event := t.Event(action, svcauth.OutcomeDone, "")
	if err := t.InsertAuditEvent(ctx, event); err != nil || t.Also == "" || t.Also == event.OrganizationID {
		return err
	}
	event.ID, event.OrganizationID, event.IP = typeid.New(svcauth.PrefixEvent, t.Now), t.Also, ""
	return t.InsertAuditEvent(ctx, event)
}

// auditRefusal records a change that was refused by a rule, aside from the
// request, which may be given up meanwhile. A value that can't be read is not a
// change: it is not recorded.
func (s *Service) auditRefusal(t *Tx, action string, refusal *svcauth.Problem) {
	switch refusal.Code {
	case svcauth.CodeForbidden, svcauth.CodeMissingPrivileges, svcauth.CodeConflict, svcauth.CodeNotFound,
		svcauth.CodePreconditionFailed:
		t.Before, t.After = nil, nil
		s.cfg.Audit.Note(t.Event(action, svcauth.OutcomeRefused, refusal.Detail))
	}
}

// Event returns the audit event of a change, or of one that was refused.
func (r Record) Event(action, outcome, reason string) svcauth.AuditEvent {
	return svcauth.AuditEvent{
		ID: typeid.New(svcauth.PrefixEvent, r.Now), Time: r.Now, OrganizationID: r.Actor.OrgID,
		Actor:  svcauth.AuditActor{ID: r.Actor.ID, Kind: r.Actor.Kind, Name: r.Actor.Name, ClientID: r.Actor.ClientID},
		Action: action, Target: svcauth.AuditTarget{
			ID:   loggable(r.Target.ID),
			Kind: r.Target.Kind,
			Name: loggable(r.Target.Name),
		}, Outcome: outcome, Reason: reason,
		Before: asJSON(r.Before), After: asJSON(r.After), IP: r.Actor.IP, RequestID: r.Actor.RequestID,
	}
}

// loggable makes a text fit for the audit log that may be a refused caller's
// own: PostgreSQL takes no NUL, and nobody should fill the log with one line.
// Secrets go before it is cut: half a one is not recognised.
func loggable(text string) string {
	return untrusted.Cut(untrusted.Line(untrusted.RedactSecrets(text)), 1024)
}

func asJSON(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil // only values of this package come here; a test marshals each
	}
	return text
}

// mayManageAccess enforces that members, not machines, decide who may do what,
// unless the organization says otherwise.
func (t *Tx) mayManageAccess(ctx context.Context) error {
	if t.Actor.Kind != svcauth.KindServiceAccount {
		return nil
	}
	org, err := t.Organization(ctx, t.Actor.OrgID)
	if err != nil {
		return err
	}
	if !org.ServiceAccountsMayManageAccess {
		return svcauth.NewProblem(svcauth.CodeForbidden, "A service account may not manage access in this "+
			"organization: only a member may, in the console or with an "+
			"application key. A member with settings:manage can allow it by turning on "+
			"service_accounts_may_manage_access.")
	}
	return nil
}
