package access

import (
	"context"
	"fmt"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// revoke appends a revocation. If it grows to one that denies more, the audit
// log says so.
func (t *Tx) revoke(ctx context.Context, orgID string, r svcauth.Revocation) error {
	wider, err := t.AddRevocation(ctx, t.Now, orgID, r)
	if err == nil && wider != store.WiderNot {
		err = t.InsertAuditEvent(ctx, RevokedMore(t.Now, t.Actor, orgID, r.ClientID, wider))
	}
	t.revoked = append(t.revoked, revocationKind(r))
	return err
}

// tellRevoked tells the Observer of the revocations, which are committed.
func (t *Tx) tellRevoked() {
	if t.s.cfg.Observer == nil {
		return
	}
	for _, kind := range t.revoked {
		t.s.cfg.Observer.Revoked(kind)
	}
}

// revocationKind returns what an entry denies: a token, a client's tokens, a
// credential's, a role's.
func revocationKind(r svcauth.Revocation) string {
	switch {
	case r.JTI != "":
		return "token"
	case r.Cred != "":
		return "credential"
	case r.Role != "":
		return "role"
	}
	return "client"
}

// revokeClient kills what the client has been issued so far: all of it, or only
// the tokens that carry the role.
func (t *Tx) revokeClient(ctx context.Context, orgID, clientID, role string) error {
	return t.revokeOlder(ctx, orgID, svcauth.Revocation{ClientID: clientID, Role: role})
}

// revokeUnbound kills what the client has been issued so far and is not bound
// as is demanded from now on.
func (t *Tx) revokeUnbound(ctx context.Context, orgID, clientID, binding string) error {
	return t.revokeOlder(ctx, orgID, svcauth.Revocation{ClientID: clientID, UnlessBound: binding})
}

// revokeOlder raises the epoch of the entry's client, and kills of the tokens
// with a lower one those that the entry names.
func (t *Tx) revokeOlder(ctx context.Context, orgID string, r svcauth.Revocation) (err error) {
	if r.MinEpoch, err = t.RaiseEpoch(ctx, orgID, r.ClientID); err != nil {
		return err
	}
	if err := t.revoke(ctx, orgID, r); err != nil {
		return err
	}
	return t.touch(ctx, orgID, store.ChangeClient, r.ClientID)
}

// How often the roles of one organization may take something away: all of its
// roles at once, twice, then one a second. Each time is an entry that every
// node and every resource server keeps for a day.
const (
	policiesAtOnce    = 2 * svcauth.MaxRolesPerOrg
	policiesPerSecond = 1
)

// revokeRole kills the organization's tokens that carry the role, or of these
// only the ones with the privilege in their scope.
func (t *Tx) revokeRole(ctx context.Context, orgID, role string, privileges ...string) error {
	if len(privileges) == 0 {
		return t.revokePolicy(ctx, orgID, svcauth.Revocation{Role: role})
	}
	return t.revokePolicy(ctx, orgID, ofPrivileges(role, privileges)...)
}

// ofPrivileges returns the entries that deny the tokens which carry a role and
// one of the privileges.
func ofPrivileges(role string, privileges []string) (entries []svcauth.Revocation) {
	for _, p := range privileges {
		entries = append(entries, svcauth.Revocation{Role: role, Privilege: p})
	}
	return entries
}

// revokePolicy raises the organization's pol, and kills of the tokens with a
// lower one those that an entry names.
func (t *Tx) revokePolicy(ctx context.Context, orgID string, entries ...svcauth.Revocation) error {
	if err := t.countPolicy(orgID); err != nil {
		return err
	}
	pol, err := t.RaisePolicy(ctx, orgID)
	if err != nil {
		return err
	}
	for _, r := range entries {
		r.OrgID, r.MinPol = orgID, pol
		if err := t.revoke(ctx, orgID, r); err != nil {
			return err
		}
	}
	return nil
}

// countPolicy counts that something of an organization is taken away once more.
// What is refused in the end, as a strict change is that there is something to
// warn of, writes no entry and counts for nothing; see [Service.Change].
func (t *Tx) countPolicy(orgID string) error {
	if t.Actor.Kind == svcauth.KindSystem || t.Caution.DryRun {
		return nil
	}
	if wait := t.s.policies.Allow(orgID, t.Now); wait > 0 {
		return tooManyRoleChanges(wait)
	}
	t.policies = append(t.policies, orgID)
	return nil
}

func tooManyRoleChanges(wait time.Duration) error {
	p := svcauth.NewProblem(svcauth.CodeTooMany, "The roles of this organization were changed too often: at "+
		"most %d times at once, then one a second, may privileges "+
		"or names be taken away, or bound tokens be demanded. "+
		"Nothing was changed; try again after the time in Retry-After.", policiesAtOnce)
	p.RetryAfter = wait
	return p
}

// touch tells every node that what it remembers of the subject is stale. kind
// is one of the store's Change constants.
func (t *Tx) touch(ctx context.Context, orgID, kind, subject string) error {
	_, err := t.AddChange(ctx, store.Change{
		OrgID:     orgID,
		Kind:      kind,
		Subject:   subject,
		ExpiresAt: t.Now.Add(store.KeepChange),
	})
	return err
}

// RevokedMore returns the audit event of a revocation that has grown, because
// there would have been too many, to one that denies every token that the
// client, or the whole organization, was issued so far.
func RevokedMore(now time.Time, actor Actor, orgID, clientID string, wider store.Wider) svcauth.AuditEvent {
	t := Record{Now: now, Actor: actor}
	t.Actor.OrgID = orgID // the catalogue's actor is in none
	reason := fmt.Sprintf("There are at most %d live revocations in an organization, %d of them about its "+
		"roles: all tokens issued in it so far are revoked "+
		"instead. Its clients get new ones with their next request.", store.MaxOrgRevocations,
		store.MaxPolicyRevocations)
	t.Target = svcauth.AuditTarget{ID: orgID, Kind: "organization"}
	if wider == store.WiderClient {
		reason = fmt.Sprintf("There are at most %d live revocations of one client: all tokens issued to it so "+
			"far are revoked instead. It gets a new one with "+
			"its next request.", store.MaxClientRevocations)
		t.Target = svcauth.AuditTarget{ID: clientID, Kind: "application_key"}
		if svcauth.ValidID(svcauth.PrefixServiceAccount, clientID) {
			t.Target.Kind = "service_account"
		}
	}
	return t.Event(t.Target.Kind+".revoke_tokens", svcauth.OutcomeDone, reason)
}
