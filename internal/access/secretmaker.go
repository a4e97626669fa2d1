package access

import (
	"context"
	"errors"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// What a change of a role looks at and tells, so that its cost has a bound
// however many accounts hold the role.
const (
	maxCredentialsExamined = 1000
	maxMakersExamined      = 50
	maxCredentialWarnings  = 20
)

// maker returns the caller as who made something.
func (t *Tx) maker() svcauth.Creator {
	return svcauth.Creator{ID: t.Actor.ID, Email: t.Actor.Name}
}

// makers knows what those who made credentials hold now.
type makers struct {
	s         *Service
	q         *store.Q
	org       svcauth.Organization
	catalogue []svcauth.Privilege
	held      map[string]EffectivePrivileges
}

func (s *Service) makers(ctx context.Context, q *store.Q, orgID string) (*makers, error) {
	m := &makers{s: s, q: q, held: map[string]EffectivePrivileges{svcauth.KindSystem: {}}}
	var err error
	if m.org, err = q.Organization(ctx, orgID); err != nil {
		return nil, err
	}
	m.catalogue, err = q.Privileges(ctx)
	return m, err
}

// lacks lists those privileges of a gift that a maker does not hold, or not for
// as long. Who is gone, suspended, disabled or not known holds none; the server
// itself lacks none.
func (m *makers) lacks(ctx context.Context, id string, gift EffectivePrivileges) ([]string, error) {
	if id == svcauth.KindSystem {
		return nil, nil
	}
	held, known := m.held[id]
	if !known {
		there, err := m.active(ctx, id)
		if err != nil {
			return nil, err
		}
		if there {
			roles, err := m.q.HeldRoles(ctx, m.org.ID, id)
			if err != nil {
				return nil, err
			}
			held = Effective(roles, m.catalogue, m.org.Operator, m.s.now())
		}
		m.held[id] = held
	}
	return held.lacks(gift), nil
}

func (m *makers) active(ctx context.Context, id string) (bool, error) {
	var off bool
	var err error
	if svcauth.ValidID(svcauth.PrefixMember, id) {
		var member store.MemberRow
		member, err = m.q.Member(ctx, m.org.ID, id)
		off = member.Suspended
	} else {
		var account svcauth.ServiceAccount
		account, err = m.q.ServiceAccount(ctx, m.org.ID, id)
		off = account.Disabled
	}
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && !off, err
}

// warn lists those of an account's credentials whose makers lack some of what
// the account has: whoever kept such a secret, or holds the private key, can
// use what its maker was never given, until the credential ends. The caller's
// own are not among them.
func (m *makers) warn(
	ctx context.Context,
	caller string,
	a svcauth.ServiceAccount,
	gift EffectivePrivileges,
) (warnings []svcauth.CredentialWarning, err error) {
	all, err := m.q.AllCredentials(ctx, m.org.ID, a.ID)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if one.CreatedByID == caller || one.ExpiresAt != nil && !one.ExpiresAt.After(m.s.now()) {
			continue
		}
		missing, err := m.lacks(ctx, one.CreatedByID, gift.within(one.ExpiresAt))
		if err != nil {
			return nil, err
		}
		if len(missing) > 0 {
			warnings = append(warnings, svcauth.CredentialWarning{
				ServiceAccount: svcauth.Ref{ID: a.ID, Name: a.Name},
				Kind:           publicKind(one.Kind),
				CredentialID:   one.ID,
				Hint:           one.Hint,
				CreatedBy:      svcauth.Creator{ID: one.CreatedByID, Email: one.CreatedByName},
				Missing:        missing,
			})
		}
	}
	return warnings, nil
}

// CredentialWarnings lists those of a service account's credentials whose
// makers hold less now than the account does, or for less long. It needs
// members:read.
func (s *Service) CredentialWarnings(ctx context.Context, id string) ([]svcauth.CredentialWarning, error) {
	actor, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return nil, err
	}
	warnings, err := s.warnOfAccount(ctx, s.read(), actor, id)
	return warnings, Problem(err, svcauth.AuditTarget{Kind: "service_account"})
}

func (s *Service) warnOfAccount(
	ctx context.Context,
	q *store.Q,
	actor Actor,
	id string,
) ([]svcauth.CredentialWarning, error) {
	account, err := s.account(ctx, q, actor.OrgID, id)
	if err != nil {
		return nil, err
	}
	m, err := s.makers(ctx, q, actor.OrgID)
	if err != nil {
		return nil, err
	}
	held, err := s.Effective(ctx, q, actor.OrgID, m.org.Operator, id)
	if err != nil {
		return nil, err
	}
	return m.warn(ctx, actor.ID, account, held)
}

// warnOfGrant lists those of an account's credentials whose makers lack what
// the account gains by a role that it has just been given until a moment; nil:
// for good.
func (s *Service) warnOfGrant(
	ctx context.Context,
	t *Tx,
	account svcauth.ServiceAccount,
	role store.RoleRow,
	end *time.Time,
) ([]svcauth.CredentialWarning, error) {
	m, err := s.makers(ctx, t.Q, t.Actor.OrgID)
	if err != nil {
		return nil, err
	}
	gives, err := s.roleGives(ctx, t.Q, role, m.org.Operator)
	if err != nil {
		return nil, err
	}
	held, err := t.HeldRoles(ctx, t.Actor.OrgID, account.ID)
	if err != nil {
		return nil, err
	}
	var others []store.HeldRole
	for _, one := range held {
		if one.ID != role.ID {
			others = append(others, one)
		}
	}
	gift := EffectivePrivileges{Privileges: gives}.within(end)
	gift.Privileges = Effective(others, m.catalogue, m.org.Operator, t.Now).lacks(gift)
	return m.warn(ctx, t.Actor.ID, account, gift)
}

// warnOfRole adds to a role that has just gained privileges whose credentials
// can use them although their makers lack them: the first ones by name, if the
// caller may know who there is, and how many more. It looks at no more than a
// bounded number.
func (s *Service) warnOfRole(
	ctx context.Context, q *store.Q, role *svcauth.Role, kind string, gained []string,
) error {
	if len(gained) == 0 {
		return nil
	}
	actor, _ := ActorFrom(ctx)
	m, err := s.makers(ctx, q, actor.OrgID)
	if err != nil {
		return err
	}
	under := role.ID
	if kind == store.RolePublic {
		under = "" // everyone holds it, by no grant
	}
	credentials, err := q.CredentialsUnderRole(
		ctx, actor.OrgID, under, actor.ID, s.now(), maxCredentialsExamined)
	if err != nil {
		return err
	}
	for _, one := range credentials {
		if _, known := m.held[one.By.ID]; !known && len(m.held) > maxMakersExamined {
			role.MoreWarnings++
			continue
		}
		missing, err := m.lacks(ctx, one.By.ID, EffectivePrivileges{Privileges: gained}.within(one.Until))
		switch {
		case err != nil:
			return err
		case len(missing) == 0:
		case len(role.Warnings) < maxCredentialWarnings && actor.Has(svcauth.MembersRead):
			role.Warnings = append(role.Warnings, svcauth.CredentialWarning{ServiceAccount: one.Account,
				Kind: publicKind(one.Kind), CredentialID: one.ID, Hint: one.Hint,
				CreatedBy: one.By, Missing: missing})
		default:
			role.MoreWarnings++
		}
	}
	return nil
}

// publicKind returns what the API calls the kind of a row.
func publicKind(kind string) string {
	if kind == store.CredentialFederated {
		return svcauth.KindFederatedCredential
	}
	return kind
}
