package access

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ServiceAccountRoles returns a page of the roles that a service account holds,
// newest grant first. It needs members:read. Public, which everyone holds, is
// not among them; a grant that has expired is, until it is swept away.
func (s *Service) ServiceAccountRoles(
	ctx context.Context,
	id string,
	o svcauth.ListOptions,
) (list svcauth.List[svcauth.Grant], err error) {
	actor, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return list, err
	}
	if err = checkID(svcauth.PrefixServiceAccount, id); err == nil {
		_, err = s.read().ServiceAccount(ctx, actor.OrgID, id)
	}
	if err != nil {
		return list, Problem(err, svcauth.AuditTarget{Kind: "service_account"})
	}
	grants, err := s.read().Grants(ctx, actor.OrgID, id)
	if err != nil {
		return list, Problem(err, svcauth.AuditTarget{Kind: "service_account"})
	}
	return paging.Newest(grants, o, grantKey)
}

// AssignServiceAccountRole gives a role to a service account. Given again, it
// sets the new expiry (none: for ever), and with another id the new grant takes
// the place of the one that is there. The caller must hold what the role gives
// until the grant ends, unless the same grant only becomes shorter. It kills no
// token: what a shorter grant takes away dies when it expires. The answer names
// secrets whose makers lack what the account gains, and tells if it gets no
// token by default from now on.
func (s *Service) AssignServiceAccountRole(
	ctx context.Context,
	id,
	roleID string,
	r svcauth.GrantRequest,
) (answer svcauth.GrantAnswer, err error) {
	whom := byDefault{principalID: id}
	before, err := whom.before(ctx, s, svcauth.MembersManage, r.Caution)
	if err != nil {
		return answer, err
	}
	err = s.changeAccount(ctx, id, "service_account.assign_role", func(
		ctx context.Context,
		t *Tx,
		account svcauth.ServiceAccount,
	) error {
		t.Caution = r.Caution
		row, role, err := s.assignRequested(ctx, t, id, roleID, r)
		if err != nil || t.Silent {
			return err
		}
		if answer.Warnings, err = s.warnOfGrant(ctx, t, account, role, row.ExpiresAt); err != nil {
			return err
		}
		if err := t.touch(ctx, t.Actor.OrgID, store.ChangeClient, id); err != nil {
			return err
		}
		return t.judge(ctx, func(ctx context.Context) error {
			t.warnOfCredentials(answer.Warnings, 0)
			return t.warnOfStopped(ctx, whom, before)
		})
	})
	if err != nil {
		return svcauth.GrantAnswer{}, err
	}
	answer.DefaultRefused = s.defaultRefused(ctx, whom)
	return answer, nil
}

// assignRequested assigns what a request asks for, and returns the grant as it
// was asked for with its role.
func (s *Service) assignRequested(
	ctx context.Context,
	t *Tx,
	principalID,
	roleID string,
	r svcauth.GrantRequest,
) (store.GrantRow, store.RoleRow, error) {
	row := store.GrantRow{
		ID:          r.ID,
		OrgID:       t.Actor.OrgID,
		PrincipalID: principalID,
		RoleID:      roleID,
		GrantedAt:   t.Now,
		ExpiresAt:   milli(r.ExpiresAt),
	}
	if err := validExpiry("body.expires_at", row.ExpiresAt, t.Now); err != nil {
		return row, store.RoleRow{}, err
	}
	role, err := t.Assign(ctx, row)
	return row, role, err
}

// Assign puts a grant if the caller may, and returns its role. If the same
// grant stands already, the transaction is silent. To take the place of
// another's grant asks for as much as a new one: it outlives the deletion of
// that.
func (t *Tx) Assign(ctx context.Context, g store.GrantRow) (store.RoleRow, error) {
	role, err := t.s.assignableRole(ctx, t, g.RoleID)
	if err != nil {
		return role, err
	}
	if g.ID != "" && !svcauth.ValidID(svcauth.PrefixGrant, g.ID) {
		return role, svcauth.InvalidField("body.id", "Expected an id of the form grt_ and a UUIDv7 as 26 "+
			"characters of base32, or none: "+
			"then the server chooses one.")
	}
	had, err := t.Grant(ctx, g.OrgID, g.PrincipalID, g.RoleID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		g.ID = cmp.Or(g.ID, svcauth.NewID(svcauth.PrefixGrant))
		err = t.roomForGrant(ctx, g)
	case err == nil:
		t.Before = grantNoun(had, role)
		g.GrantedAt = had.GrantedAt
		if later(had.ExpiresAt, g.ExpiresAt) {
			if err := t.mayShorten(ctx, g, role); err != nil {
				return role, err
			}
		}
		if g.ID = cmp.Or(g.ID, had.ID); g.ID != had.ID {
			break
		}
		if sameMoment(had.ExpiresAt, g.ExpiresAt) {
			t.Silent = true
			return role, nil
		}
		t.After = grantNoun(g, role)
		if alive := had.ExpiresAt == nil || had.ExpiresAt.After(t.Now); alive && !later(g.ExpiresAt, had.ExpiresAt) {
			return role, t.PutGrant(ctx, g)
		}
	}
	if err != nil {
		return role, err
	}
	if err := t.s.mayGrant(ctx, t, role, g.ExpiresAt); err != nil {
		return role, err
	}
	t.After = grantNoun(g, role)
	return role, t.PutGrant(ctx, g)
}

// mayShorten refuses an earlier end of a grant that leaves an organization
// without an Administrator one day.
func (t *Tx) mayShorten(ctx context.Context, g store.GrantRow, role store.RoleRow) error {
	if role.Kind != store.RoleAdministrator || !svcauth.ValidID(svcauth.PrefixMember, g.PrincipalID) {
		return nil
	}
	member, err := t.Member(ctx, g.OrgID, g.PrincipalID)
	if err != nil {
		return err
	}
	return t.KeepAnAdministrator(ctx, member)
}

// grantKey is what lists of one principal's grants are sorted by.
func grantKey(g svcauth.Grant) string { return paging.Key(g.GrantedAt, g.RoleID) }

func grantNoun(g store.GrantRow, role store.RoleRow) svcauth.Grant {
	return svcauth.Grant{ID: g.ID, RoleID: role.ID, Name: role.Name, ExpiresAt: g.ExpiresAt, GrantedAt: g.GrantedAt}
}

// roomForGrant bounds how many roles one principal holds.
func (t *Tx) roomForGrant(ctx context.Context, g store.GrantRow) error {
	n, err := t.CountGrants(ctx, g.OrgID, g.PrincipalID)
	if err == nil && n >= svcauth.MaxRolesPerPrincipal {
		err = svcauth.NewProblem(svcauth.CodeConflict,
			"This account holds %d roles, the most there can be. Unassign one first.", n)
	}
	return err
}

// UnassignServiceAccountRole takes a role from a service account; its tokens
// that carry the role die. It is no error if it did not hold the role. With a
// grantID it ends that grant alone: if another has taken its place, nothing
// happens.
func (s *Service) UnassignServiceAccountRole(ctx context.Context, id, roleID, grantID string) error {
	return s.changeAccount(ctx, id, "service_account.unassign_role", func(
		ctx context.Context,
		t *Tx,
		account svcauth.ServiceAccount,
	) error {
		role, err := s.namedRole(ctx, t, roleID)
		if err != nil {
			return err
		}
		had, err := t.grantToEnd(ctx, id, role, grantID)
		if err != nil || t.Silent {
			return err
		}
		t.Before = grantNoun(had, role)
		if err := t.DeleteGrant(ctx, t.Actor.OrgID, id, role.ID); err != nil {
			return err
		}
		return t.revokeClient(ctx, t.Actor.OrgID, id, role.Name)
	})
}

// grantToEnd reads the grant of a pair; the transaction is silent if there is
// none, or if it is another one than that with the id (empty: whichever).
func (t *Tx) grantToEnd(
	ctx context.Context,
	principalID string,
	role store.RoleRow,
	id string,
) (store.GrantRow, error) {
	if id != "" && !svcauth.ValidID(svcauth.PrefixGrant, id) {
		return store.GrantRow{}, svcauth.InvalidField("query.grant",
			"Expected the id of a grant, grt_ and 26 characters, as the list of roles has it; "+
				"leave the parameter out to end whichever there is.")
	}
	had, err := t.Grant(ctx, t.Actor.OrgID, principalID, role.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && id != "" && id != had.ID {
		t.Silent = true
		return had, nil
	}
	return had, err
}

// namedRole reads a role of the caller's organization that a request names
// beside something else.
func (s *Service) namedRole(ctx context.Context, t *Tx, roleID string) (store.RoleRow, error) {
	role, err := s.roleRow(ctx, t.Q, t.Actor.OrgID, roleID)
	if errors.Is(err, store.ErrNotFound) {
		err = svcauth.NewProblem(svcauth.CodeNotFound, "There is no role with the id %q in your organization.", roleID)
	}
	return role, err
}

// assignableRole reads a role that somebody can be given: any but Public.
func (s *Service) assignableRole(ctx context.Context, t *Tx, roleID string) (store.RoleRow, error) {
	role, err := s.namedRole(ctx, t, roleID)
	if err == nil && role.Kind == store.RolePublic {
		err = svcauth.NewProblem(svcauth.CodeConflict, "The role Public is held by everyone; it can't be assigned.")
	}
	return role, err
}

// mayGrant refuses if the role gives something that the caller does not hold,
// or not until the grant ends.
func (s *Service) mayGrant(ctx context.Context, t *Tx, role store.RoleRow, end *time.Time) error {
	org, err := t.Organization(ctx, t.Actor.OrgID)
	if err != nil {
		return err
	}
	gives, err := s.roleGives(ctx, t.Q, role, org.Operator)
	if err != nil {
		return err
	}
	return t.mayHandOver(ctx, Handover{
		Gives:   EffectivePrivileges{Privileges: gives},
		What:    "assign the role " + role.Name,
		End:     end,
		Bounded: "the grant",
	})
}

// grantableRole reads a role that the caller may give a new service account for
// good: it must exist, not be Public, and give nothing that the caller lacks.
func (s *Service) grantableRole(ctx context.Context, t *Tx, roleID string) (store.RoleRow, error) {
	role, err := s.assignableRole(ctx, t, roleID)
	if err != nil {
		return role, err
	}
	return role, s.mayGrant(ctx, t, role, nil)
}

// later reports whether the moment a comes after b; none is later than any.
func later(a, b *time.Time) bool {
	return b != nil && (a == nil || a.After(*b))
}

func sameMoment(a, b *time.Time) bool { return !later(a, b) && !later(b, a) }

// milli returns an optional moment cut to what is stored of it, so that an
// answer says the same as the next one.
func milli(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	cut := t.UTC().Truncate(time.Millisecond)
	return &cut
}
