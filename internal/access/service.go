package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/audit"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config is what the rules stand on.
type Config struct {
	Store   *store.Store
	Keyring *keyring.Keyring // hashes secrets; signing keys
	Cache   *cache.Cache     // records of live tokens
	Audit   *audit.Log       // takes refusals; nil: New makes one, which [Service.Run] runs
	// Revocations, which the follower of the change log fills, tell which recorded tokens have died. nil: the list shows them until they expire.
	Revocations *verify.RevocationSet

	Issuer          string        // audience of the built-in privileges; base of links
	DefaultTokenTTL time.Duration // shown where a service account has none of its own
	AuditRetention  time.Duration // 0: for ever
	Blocklist       []string      // passwords nobody may choose, on top of the built-in ones; see [ReadBlocklist]

	// Oversized names the accounts whose tokens would be too long: an
	// organization's that hold a role, or one principal. nil: nobody looks.
	Oversized func(ctx context.Context, orgID, roleID, principalID string) ([]svcauth.SizeWarning, error)

	// OnRevoke hears of each revocation that is written, by its kind: token, client, secret or role. nil: nobody does.
	OnRevoke func(kind string)
	// Mail sends invitations and links to set a password; nil: nobody is
	// written to.
	Mail Mailer

	// PasswordWorker is the command that hashes passwords, apart from this
	// process; see [passwords.New]. Empty: this process hashes.
	PasswordWorker []string

	Clock  func() time.Time // default time.Now
	Logger *slog.Logger     // default: silence
}

// Service holds the rules. It is safe for concurrent use.
type Service struct {
	cfg         Config
	hashing     hashing
	attempts    *attempts
	wrongAnswer time.Duration // see wrongAnswerAfter
	refused     *limits.Shares[struct{}]
	blocked     map[string]bool
	policies    *limits.Rates[string] // by organization
}

// New makes the service. Nothing is read or written yet.
func New(cfg Config) *Service {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Audit == nil {
		cfg.Audit = audit.New(audit.Config{Store: cfg.Store, Logger: cfg.Logger})
	}
	s := &Service{cfg: cfg, hashing: newHashing(cfg.PasswordWorker, cfg.Logger), attempts: newAttempts(), wrongAnswer: wrongAnswerAfter,
		refused: limits.NewShares[struct{}](limits.Bound{Total: maxRefused}), blocked: make(map[string]bool, len(cfg.Blocklist)),
		policies: limits.NewRates[string](limits.Rate{PerSecond: policiesPerSecond, Burst: policiesAtOnce}, 10_000)}
	for _, password := range cfg.Blocklist {
		s.blocked[strings.ToLower(password)] = true
	}
	return s
}

// Close ends the processes that hash passwords. It returns no error.
func (s *Service) Close() error { return s.hashing.hasher.Close() }

func (s *Service) now() time.Time { return s.cfg.Clock().UTC().Truncate(time.Millisecond) }

// read gives queries outside a transaction.
func (s *Service) read() *store.Q { return s.cfg.Store.Read() }

// operation says what is about to happen, for the check and for the audit log.
type operation struct {
	need   string // the privilege; empty: any actor, and the body checks
	action string // noun.verb
	target svcauth.AuditTarget
	// access: it creates, changes or removes service accounts or grants roles, which a service account may do only where its organization lets it.
	access bool
	// operator: only from the operator's own organization.
	operator bool
}

// tx is a transaction that changes something. Its methods write what belongs to every change.
type tx struct {
	*store.Q
	s     *Service
	now   time.Time
	actor Actor

	target        svcauth.AuditTarget // do may complete it
	also          string              // another organization in whose log it stands; empty: none
	before, after any                 // for the audit log; never a secret. nil: nothing there
	silent        bool                // nothing changed (an idempotent repeat): no audit event
}

// change runs a change: who asks is checked, do runs in a transaction, and the audit event is written with it. Where do (or the check) returns a
// problem, nothing has changed and the refusal is audited.
func (s *Service) change(ctx context.Context, op operation, do func(context.Context, *tx) error) error {
	actor, err := caller(ctx, op.need)
	if actor.ID == "" {
		return err
	}
	t := &tx{s: s, now: s.now(), actor: actor, target: op.target}
	if err == nil && op.operator && !actor.Operator {
		err = notOperator()
	}
	if err == nil {
		err = s.cfg.Store.WriteInTurn(ctx, store.Turn{OrgID: actor.OrgID, First: takesAway[op.action]}, func(q *store.Q) error {
			t.Q = q
			if op.access {
				if err := t.mayManageAccess(ctx); err != nil {
					return err
				}
			}
			if err := do(ctx, t); err != nil || t.silent {
				return err
			}
			return t.audit(ctx, op.action)
		})
	}
	err = s.problem(err, t.target)
	var refusal *svcauth.Problem
	if errors.As(err, &refusal) {
		s.auditRefusal(t, op.action, refusal)
	}
	return err
}

// takesAway has the actions that take something away from somebody, or may.
// They wait for no others.
var takesAway = map[string]bool{
	"token.revoke": true, "service_account.revoke_tokens": true, "service_account.delete": true, "service_account.update": true,
	"service_account.unassign_role": true, "secret.delete": true, "member.delete": true, "member.update": true, "member.unassign_role": true,
	"member.sign_out": true, "member.set_password": true, "member.reset": true, "application_key.delete": true,
	"role.update": true, "role.delete": true, "organization.update": true, "organization.delete": true, "signing_key.revoke": true,
}

// audit writes the event of a change, and a copy for another organization that
// must see it. What the operator changes in a tenant stands in both logs; the
// tenant's has no address of the operator's.
func (t *tx) audit(ctx context.Context, action string) error {
	event := t.event(action, svcauth.OutcomeDone, "")
	if err := t.InsertAuditEvent(ctx, event); err != nil || t.also == "" || t.also == event.OrganizationID {
		return err
	}
	event.ID, event.OrganizationID, event.IP = svcauth.NewIDAt(svcauth.PrefixEvent, t.now), t.also, ""
	return t.InsertAuditEvent(ctx, event)
}

// problem turns what the store says into what a caller is told.
func (s *Service) problem(err error, target svcauth.AuditTarget) error {
	var already *svcauth.Problem
	switch {
	case err == nil || errors.As(err, &already):
		return err
	case errors.Is(err, store.ErrNotFound):
		return svcauth.NewProblem(svcauth.CodeNotFound, "There is no %s with this id in your organization.", words(target.Kind))
	case errors.Is(err, store.ErrStale):
		return svcauth.NewProblem(svcauth.CodePreconditionFailed, "Somebody else changed this %s since you read it. Get it again, then repeat your change.", words(target.Kind))
	case errors.Is(err, store.ErrUncertain):
		return fmt.Errorf("%w: %w", svcauth.NewProblem(svcauth.CodeInternal, "The database went away while this was being saved. Look whether the change is there before you repeat it."), err)
	case errors.Is(err, store.ErrUnavailable):
		return fmt.Errorf("%w: %w", svcauth.NewProblem(svcauth.CodeUnavailable, "The database is not available right now. Nothing was changed; try again in a moment."), err)
	}
	return err
}

// auditRefusal records a change that was refused by a rule, aside from the
// request, which may be given up meanwhile. A value that can't be read is not a
// change: it is not recorded.
func (s *Service) auditRefusal(t *tx, action string, refusal *svcauth.Problem) {
	switch refusal.Code {
	case svcauth.CodeForbidden, svcauth.CodeMissingPrivileges, svcauth.CodeConflict, svcauth.CodeNotFound, svcauth.CodePreconditionFailed:
		t.before, t.after = nil, nil
		s.cfg.Audit.Note(t.event(action, svcauth.OutcomeRefused, refusal.Detail))
	}
}

func (t *tx) event(action, outcome, reason string) svcauth.AuditEvent {
	return svcauth.AuditEvent{
		ID: svcauth.NewIDAt(svcauth.PrefixEvent, t.now), Time: t.now, OrganizationID: t.actor.OrgID,
		Actor:  svcauth.AuditActor{ID: t.actor.ID, Kind: t.actor.Kind, Name: t.actor.Name, ClientID: t.actor.ClientID},
		Action: action, Target: svcauth.AuditTarget{ID: loggable(t.target.ID), Kind: t.target.Kind, Name: loggable(t.target.Name)}, Outcome: outcome, Reason: reason,
		Before: asJSON(t.before), After: asJSON(t.after), IP: t.actor.IP, RequestID: t.actor.RequestID,
	}
}

// loggable makes a text fit for the audit log that may be a refused caller's
// own: PostgreSQL takes no NUL, and nobody should fill the log with one line.
// Secrets go before it is cut: half a one is not recognised.
func loggable(text string) string {
	return untrusted.Cut(untrusted.Line(svcauth.RedactSecrets(text)), 1024)
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

// mayManageAccess is the rule that members, not machines, decide who may do what, unless the organization says otherwise.
func (t *tx) mayManageAccess(ctx context.Context) error {
	if t.actor.Kind != svcauth.KindServiceAccount {
		return nil
	}
	org, err := t.Organization(ctx, t.actor.OrgID)
	if err != nil {
		return err
	}
	if !org.ServiceAccountsMayManageAccess {
		return svcauth.NewProblem(svcauth.CodeForbidden, "A service account may not manage access in this organization: only a member may, in the console or with an "+
			"application key. A member with settings:manage can allow it by turning on service_accounts_may_manage_access.")
	}
	return nil
}

// revoke appends a revocation. If it grows to one that denies more, the audit
// log says so.
func (t *tx) revoke(ctx context.Context, orgID string, r svcauth.Revocation) error {
	wider, err := t.AddRevocation(ctx, t.now, orgID, r)
	if err == nil && wider != store.WiderNot {
		err = t.InsertAuditEvent(ctx, RevokedMore(t.now, t.actor, orgID, r.ClientID, wider))
	}
	if err == nil && t.s.cfg.OnRevoke != nil {
		t.s.cfg.OnRevoke(revocationKind(r))
	}
	return err
}

// revocationKind says what an entry denies: a token, a client's tokens, a secret's, a role's.
func revocationKind(r svcauth.Revocation) string {
	switch {
	case r.JTI != "":
		return "token"
	case r.Cred != "":
		return "secret"
	case r.Role != "":
		return "role"
	}
	return "client"
}

// revokeClient kills what the client has been issued so far: all of it, or only tokens that carry the role.
func (t *tx) revokeClient(ctx context.Context, orgID, clientID, role string) error {
	epoch, err := t.RaiseEpoch(ctx, orgID, clientID)
	if err != nil {
		return err
	}
	if err := t.revoke(ctx, orgID, svcauth.Revocation{ClientID: clientID, Role: role, MinEpoch: epoch}); err != nil {
		return err
	}
	return t.touch(ctx, orgID, store.ChangeClient, clientID)
}

// How often the roles of one organization may take something away: all of its
// roles at once, twice, then one a second. Each time is an entry that every node
// and every resource server keeps for a day.
const (
	policiesAtOnce    = 2 * svcauth.MaxRolesPerOrg
	policiesPerSecond = 1
)

// revokeRole kills the organization's tokens that carry the role, or of these only the ones with the privilege in their scope.
func (t *tx) revokeRole(ctx context.Context, orgID, role string, privileges ...string) error {
	if t.actor.Kind != svcauth.KindSystem {
		if wait := t.s.policies.Allow(orgID, t.now); wait > 0 {
			return tooManyRoleChanges(wait)
		}
	}
	pol, err := t.RaisePolicy(ctx, orgID)
	if err != nil {
		return err
	}
	if len(privileges) == 0 {
		return t.revoke(ctx, orgID, svcauth.Revocation{OrgID: orgID, Role: role, MinPol: pol})
	}
	for _, p := range privileges {
		if err := t.revoke(ctx, orgID, svcauth.Revocation{OrgID: orgID, Role: role, Privilege: p, MinPol: pol}); err != nil {
			return err
		}
	}
	return nil
}

func tooManyRoleChanges(wait time.Duration) error {
	p := svcauth.NewProblem(svcauth.CodeTooMany, "The roles of this organization were changed too often: at most %d times at once, then one a second, may privileges "+
		"or names be taken away. Nothing was changed; try again after the time in Retry-After.", policiesAtOnce)
	p.RetryAfter = wait
	return p
}

// touch tells every node that what it remembers of the subject is stale. kind is one of the store's Change constants.
func (t *tx) touch(ctx context.Context, orgID, kind, subject string) error {
	_, err := t.AddChange(ctx, store.Change{OrgID: orgID, Kind: kind, Subject: subject, ExpiresAt: t.now.Add(store.KeepChange)})
	return err
}

// words turns a target's kind into English.
func words(kind string) string {
	switch kind {
	case "":
		return "thing"
	case "service_account":
		return "service account"
	case "application_key":
		return "application key"
	case "signing_key":
		return "signing key"
	}
	return kind
}
