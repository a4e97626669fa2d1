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
	maxSecretsExamined = 1000
	maxMakersExamined  = 50
	maxSecretWarnings  = 20
)

// maker returns the caller as who made something.
func (t *Tx) maker() svcauth.Creator {
	return svcauth.Creator{ID: t.Actor.ID, Email: t.Actor.Name}
}

// makers knows what those who made secrets hold now.
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

// warn lists those of an account's secrets whose makers lack some of what the
// account has: whoever kept such a secret can use what its maker was never
// given, until the secret ends. The caller's own are not among them.
func (m *makers) warn(
	ctx context.Context,
	caller string,
	a svcauth.ServiceAccount,
	gift EffectivePrivileges,
) (warnings []svcauth.SecretWarning, err error) {
	for _, secret := range a.Secrets {
		if secret.CreatedBy.ID == caller || secret.ExpiresAt != nil && !secret.ExpiresAt.After(m.s.now()) {
			continue
		}
		missing, err := m.lacks(ctx, secret.CreatedBy.ID, gift.within(secret.ExpiresAt))
		if err != nil {
			return nil, err
		}
		if len(missing) > 0 {
			warnings = append(warnings, svcauth.SecretWarning{
				ServiceAccount: svcauth.Ref{ID: a.ID, Name: a.Name},
				SecretID:       secret.ID,
				Hint:           secret.Hint,
				CreatedBy:      secret.CreatedBy,
				Missing:        missing,
			})
		}
	}
	return warnings, nil
}

// SecretWarnings lists those of a service account's secrets whose makers hold
// less now than the account does, or for less long. It needs members:read.
func (s *Service) SecretWarnings(ctx context.Context, id string) ([]svcauth.SecretWarning, error) {
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
) ([]svcauth.SecretWarning, error) {
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

// warnOfGrant lists those of an account's secrets whose makers lack what the
// account gains by a role that it has just been given until a moment; nil: for
// good.
func (s *Service) warnOfGrant(
	ctx context.Context,
	t *Tx,
	account svcauth.ServiceAccount,
	role store.RoleRow,
	end *time.Time,
) ([]svcauth.SecretWarning, error) {
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

// warnOfRole adds to a role that has just gained privileges whose secrets can
// use them although their makers lack them: the first ones by name, if the
// caller may know who there is, and how many more. It looks at no more than a
// bounded number.
func (s *Service) warnOfRole(ctx context.Context, role *svcauth.Role, kind string, gained []string) error {
	actor, _ := ActorFrom(ctx)
	m, err := s.makers(ctx, s.read(), actor.OrgID)
	if err != nil {
		return err
	}
	under := role.ID
	if kind == store.RolePublic {
		under = "" // everyone holds it, by no grant
	}
	secrets, err := s.read().SecretsUnderRole(ctx, actor.OrgID, under, actor.ID, s.now(), maxSecretsExamined)
	if err != nil {
		return err
	}
	for _, secret := range secrets {
		if _, known := m.held[secret.By.ID]; !known && len(m.held) > maxMakersExamined {
			role.MoreWarnings++
			continue
		}
		missing, err := m.lacks(ctx, secret.By.ID, EffectivePrivileges{Privileges: gained}.within(secret.Until))
		switch {
		case err != nil:
			return err
		case len(missing) == 0:
		case len(role.Warnings) < maxSecretWarnings && actor.Has(svcauth.MembersRead):
			role.Warnings = append(role.Warnings, svcauth.SecretWarning{ServiceAccount: secret.Account,
				SecretID: secret.ID, Hint: secret.Hint,
				CreatedBy: secret.By, Missing: missing})
		default:
			role.MoreWarnings++
		}
	}
	return nil
}
