package access

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// MemberRoles returns a page of the roles that were granted to a member, newest
// grant first; it needs members:read.
func (s *Service) MemberRoles(
	ctx context.Context,
	id string,
	o svcauth.ListOptions,
) (list svcauth.List[svcauth.Grant], err error) {
	a, err := Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return list, err
	}
	if _, err := MemberRow(ctx, s.read(), a.OrgID, id); err != nil {
		return list, Problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	grants, err := s.read().Grants(ctx, a.OrgID, id)
	if err != nil {
		return list, Problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	return paging.Newest(grants, o, grantKey)
}

// MemberOperation returns a change of members. Each of them decides who may do
// what, so a service account needs its organization's consent.
func MemberOperation(action, id string) Operation {
	return Operation{
		Requires: svcauth.MembersManage,
		Action:   action,
		Target:   svcauth.AuditTarget{Kind: "member", ID: id},
		Access:   true,
	}
}

// grantee reads the member whose grants are about to be changed.
func (t *Tx) grantee(ctx context.Context, id string) (store.MemberRow, error) {
	row, err := MemberRow(ctx, t.Q, t.Actor.OrgID, id)
	if err == nil {
		t.Target.ID, t.Target.Name = row.ID, row.Email
	}
	return row, err
}

// AssignMemberRole gives a role to a member by the rules of
// [Service.AssignServiceAccountRole]. Problem: [svcauth.CodeConflict] if time
// would take the last Administrator away by it.
func (s *Service) AssignMemberRole(
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
	err = s.Change(ctx, MemberOperation("member.assign_role", id), func(ctx context.Context, t *Tx) error {
		t.Caution = r.Caution
		member, err := t.grantee(ctx, id)
		if err != nil {
			return err
		}
		if _, _, err = s.assignRequested(ctx, t, id, roleID, r); err != nil || t.Silent {
			return err
		}
		if err := t.touchKeys(ctx, member); err != nil {
			return err
		}
		return t.judge(ctx, func(ctx context.Context) error { return t.warnOfStopped(ctx, whom, before) })
	})
	if err != nil {
		return svcauth.GrantAnswer{}, err
	}
	answer.DefaultRefused = s.defaultRefused(ctx, whom)
	return answer, nil
}

// UnassignMemberRole takes a role from a member. Tokens of its application keys
// that carry the role die at once. It is no error if it did not hold it. With a
// grantID it ends that grant alone: if another has taken its place, nothing
// happens. Problem: [svcauth.CodeConflict] if it is the last Administrator.
func (s *Service) UnassignMemberRole(ctx context.Context, id, roleID, grantID string) error {
	return s.Change(ctx, MemberOperation("member.unassign_role", id), func(ctx context.Context, t *Tx) error {
		row, err := t.grantee(ctx, id)
		if err != nil {
			return err
		}
		role, err := s.namedRole(ctx, t, roleID)
		if err != nil {
			return err
		}
		had, err := t.grantToEnd(ctx, row.ID, role, grantID)
		if err != nil || t.Silent {
			return err
		}
		if role.Kind == store.RoleAdministrator {
			if err := t.KeepAnAdministrator(ctx, row); err != nil {
				return err
			}
		}
		if err := t.DeleteGrant(ctx, row.OrgID, row.ID, role.ID); err != nil {
			return err
		}
		t.Before = grantNoun(had, role)
		return t.revokeKeys(ctx, row, role.Name)
	})
}

// KeepAnAdministrator refuses to lose the active member who holds Administrator
// for longest, if no other does for as long: an organization must not lose its
// last one by the passage of time either.
func (t *Tx) KeepAnAdministrator(ctx context.Context, m store.MemberRow) error {
	role, err := t.SystemRole(ctx, m.OrgID, store.RoleAdministrator)
	if err != nil {
		return err
	}
	held, err := t.Grant(ctx, m.OrgID, m.ID, role.ID)
	if errors.Is(err, store.ErrNotFound) || m.ActivatedAt == nil || m.Suspended {
		return nil // it is none, or none that could act
	} else if err != nil {
		return err
	}
	if held.ExpiresAt != nil && !held.ExpiresAt.After(t.Now) {
		return nil
	}
	others, err := t.OtherHolders(ctx, m.OrgID, role.ID, m.ID, "", held.ExpiresAt)
	if err == nil && others == 0 {
		return svcauth.NewProblem(svcauth.CodeConflict, "%s is the last Administrator of this organization: "+
			"nobody could manage it any more. "+
			"Make another active member Administrator first, by a grant that does not expire.", m.Email)
	}
	if err != nil {
		return err
	}
	return t.keepAWayIn(ctx, m, role, held)
}
