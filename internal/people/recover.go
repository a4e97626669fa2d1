package people

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// recoveryLife is how long the link of a recovery works. It goes through the
// hands of whoever stands at the server's machine, and no mail.
const recoveryLife = time.Hour

// namedAdministrators bounds how many are named who could be recovered.
const namedAdministrators = 10

// RecoveryRequest says which Administrator is to get in again.
type RecoveryRequest struct {
	Email        string
	Organization string // name or id; required if the address is in several
	// Show shows the link, just before it is committed, as at
	// [NewTenant.Show]. It may be nil.
	Show func(Recovery) error
}

// Recovery is what a recovery has done.
type Recovery struct {
	Organization svcauth.Ref
	Email        string
	URL          string // opens once, until ExpiresAt
	ExpiresAt    time.Time
	EndedKeys    int  // application keys of the member that have ended
	Granted      bool // the member was made Administrator, because nobody was
}

// Recover makes a one-time link by which an Administrator who can't sign in
// any more sets a new password. It needs no caller: whoever reaches the
// database may do all. Password, sessions, application keys and earlier links
// of the member end, as with [Service.ResetMember]. No mail goes.
//
// It makes nobody more than they are: somebody who is no Administrator becomes
// one only if no active member of the organization is. Problems:
// [svcauth.CodeNotFound] for an address that nobody has,
// [svcauth.CodeConflict] for one that is suspended, in several organizations,
// or no Administrator's.
func (s *Service) Recover(ctx context.Context, r RecoveryRequest) (done Recovery, err error) {
	if r.Email, err = validEmail("recover-admin", r.Email); err != nil {
		return done, err
	}
	seen := false
	err = s.access.SystemChange(ctx, func(t *access.Tx) error {
		m, org, err := s.recoverable(ctx, t, r)
		if err != nil {
			return err
		}
		if done, err = s.recoverIn(ctx, t, m, org); err != nil || r.Show == nil {
			return err
		}
		seen = true
		return shown(func() error { return r.Show(done) })
	})
	if err != nil {
		return Recovery{}, notMade(seen, access.Problem(err, svcauth.AuditTarget{Kind: "member"}))
	}
	return done, nil
}

func (s *Service) recoverIn(
	ctx context.Context,
	t *access.Tx,
	m store.MemberRow,
	org svcauth.Organization,
) (done Recovery, err error) {
	t.Actor = access.CommandLine(org.ID)
	t.Target = svcauth.AuditTarget{Kind: "member", ID: m.ID, Name: m.Email}
	if done.Granted, err = s.recoverRole(ctx, t, m, org); err != nil {
		return done, err
	}
	keys, err := t.ApplicationKeyIDs(ctx, m.OrgID, m.ID)
	if err != nil {
		return done, err
	}
	if err := t.SetPassword(ctx, m.OrgID, m.ID, ""); err != nil {
		return done, err
	}
	if err := s.endAccess(ctx, t, m); err != nil {
		return done, err
	}
	if _, err := t.AllowPasswords(ctx, m.OrgID); err != nil { // the link sets one
		return done, err
	}
	token := newToken()
	row := store.InvitationRow{
		TokenHash: tokenHash(token), OrgID: m.OrgID, MemberID: m.ID, Kind: store.InvitationReset,
		ExpiresAt: t.Now.Add(recoveryLife),
		MadeByID:  t.Actor.ID, MakerOrgID: t.Actor.OrgID, HandsOver: store.HandsOverAll,
	}
	if m.ActivatedAt == nil {
		row.Kind = store.InvitationInvite
	}
	if err := t.PutInvitation(ctx, row); err != nil {
		return done, err
	}
	operator, err := t.OperatorOrganization(ctx)
	if err != nil {
		return done, err
	}
	done.Organization, done.Email = svcauth.Ref{ID: org.ID, Name: org.Name}, m.Email
	done.URL, done.ExpiresAt, done.EndedKeys = s.linkURL(token), row.ExpiresAt, len(keys)
	t.Also, t.After = operator.ID, map[string]any{
		"link_expires_at": row.ExpiresAt, "application_keys_ended": len(keys), "made_administrator": done.Granted,
	}
	return done, t.Audit(ctx, "member.recover")
}

// recoverable finds the member who is meant.
func (s *Service) recoverable(
	ctx context.Context,
	t *access.Tx,
	r RecoveryRequest,
) (m store.MemberRow, org svcauth.Organization, err error) {
	rows, err := t.MembersByEmail(ctx, r.Email, maxMemberships)
	if err != nil {
		return m, org, err
	}
	var found []string
	fits := 0
	for _, row := range rows {
		in, err := t.Organization(ctx, row.OrgID)
		if err != nil {
			return m, org, err
		}
		found = append(found, in.Name)
		if r.Organization == "" || strings.EqualFold(in.Name, r.Organization) || in.ID == r.Organization {
			m, org, fits = row, in, fits+1
		}
	}
	switch {
	case fits == 1 && m.Suspended:
		return m, org, s.notRecoverable(ctx, t, org, "%s is suspended in organization %s.", m.Email, org.Name)
	case fits == 1:
		return m, org, nil
	case fits > 1:
		return m, org, svcauth.NewProblem(svcauth.CodeConflict, "%s is a member of several organizations: %s. "+
			"Say which is meant with --organization.", r.Email, strings.Join(found, ", "))
	case len(found) > 0:
		return m, org, svcauth.NewProblem(svcauth.CodeNotFound, "%s is no member of an organization %s, but of: %s.",
			r.Email, r.Organization, strings.Join(found, ", "))
	}
	operator, err := t.OperatorOrganization(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return m, org, svcauth.NewProblem(svcauth.CodeConflict,
			"This database has not been bootstrapped yet: run `svcauth bootstrap` first.")
	} else if err != nil {
		return m, org, err
	}
	return m, org, s.notRecoverable(ctx, t, operator, "Nobody has the address %s, or it was removed.", r.Email)
}

// recoverRole makes the member Administrator if nobody active is.
func (s *Service) recoverRole(
	ctx context.Context,
	t *access.Tx,
	m store.MemberRow,
	org svcauth.Organization,
) (granted bool, err error) {
	role, err := t.SystemRole(ctx, org.ID, store.RoleAdministrator)
	if err != nil {
		return false, err
	}
	held, err := t.Grant(ctx, org.ID, m.ID, role.ID)
	if err == nil && (held.ExpiresAt == nil || held.ExpiresAt.After(t.Now)) {
		return false, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	others, err := t.OtherHolders(ctx, org.ID, role.ID, m.ID, "", &t.Now)
	if err != nil {
		return false, err
	}
	if others > 0 {
		return false, s.notRecoverable(ctx, t, org, "%s is no Administrator of organization %s.", m.Email, org.Name)
	}
	return true, t.PutGrant(ctx, store.GrantRow{
		OrgID: org.ID, PrincipalID: m.ID, RoleID: role.ID, GrantedAt: t.Now,
	})
}

// notRecoverable says why somebody can't be let in, and who can.
func (s *Service) notRecoverable(
	ctx context.Context,
	t *access.Tx,
	org svcauth.Organization,
	format string,
	args ...any,
) error {
	role, err := t.SystemRole(ctx, org.ID, store.RoleAdministrator)
	if err != nil {
		return err
	}
	holders, err := t.NamedHolders(ctx, org.ID, role.ID, namedAdministrators)
	if err != nil {
		return err
	}
	var names []string
	for _, h := range holders {
		if !svcauth.ValidID(svcauth.PrefixMember, h.ID) {
			continue
		}
		m, err := t.Member(ctx, org.ID, h.ID)
		if err != nil {
			return err
		}
		if !m.Suspended {
			names = append(names, m.Email)
		}
	}
	who := "nobody: name a member who shall become one"
	if len(names) > 0 {
		who = strings.Join(names, ", ")
	}
	return svcauth.NewProblem(svcauth.CodeConflict, "%s Administrators of organization %s who can be let in again: %s.",
		fmt.Sprintf(format, args...), org.Name, who)
}

// linkURL is where a one-time token opens.
func (s *Service) linkURL(token svcauth.Secret) string {
	return s.cfg.Issuer + "/console/invitation?token=" + token.Reveal()
}
