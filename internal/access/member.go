package access

import (
	"context"
	"errors"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Member gets one; it needs members:read.
func (s *Service) Member(ctx context.Context, id string) (svcauth.Member, error) {
	a, err := caller(ctx, svcauth.MembersRead)
	if err != nil {
		return svcauth.Member{}, err
	}
	row, err := memberRow(ctx, s.read(), a.OrgID, id)
	if err != nil {
		return svcauth.Member{}, s.problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	m, err := s.member(ctx, s.read(), row)
	if err == nil {
		err = s.addInvitation(ctx, s.read(), a.OrgID, &m)
	}
	return m, s.problem(err, svcauth.AuditTarget{Kind: "member"})
}

// addInvitation adds what may be known of a member's open link, and whether it
// would open now.
func (s *Service) addInvitation(ctx context.Context, q *store.Q, orgID string, m *svcauth.Member) error {
	i, err := q.InvitationOf(ctx, orgID, m.ID, s.now())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	m.Invitation = s.invitationNoun(i)
	m.Invitation.Problem, err = s.closed(ctx, q, i)
	return err
}

// Members lists them, newest first; it needs members:read.
func (s *Service) Members(ctx context.Context, o svcauth.ListOptions) (none svcauth.List[svcauth.Member], err error) {
	a, err := caller(ctx, svcauth.MembersRead)
	if err != nil {
		return none, err
	}
	before, limit, err := pageOf(o, svcauth.PrefixMember)
	if err != nil {
		return none, err
	}
	rows, err := s.read().Members(ctx, a.OrgID, before, limit+1)
	if err != nil {
		return none, s.problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	roles, err := s.read().GrantsOf(ctx, a.OrgID, ids)
	if err != nil {
		return none, s.problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	links := map[string]*svcauth.Invitation{}
	if len(rows) > 0 { // newest first
		open, err := s.read().InvitationsBetween(ctx, a.OrgID, rows[len(rows)-1].ID, rows[0].ID, s.now())
		if err != nil {
			return none, s.problem(err, svcauth.AuditTarget{Kind: "member"})
		}
		for _, i := range open {
			links[i.MemberID] = s.invitationNoun(i)
		}
	}
	all := make([]svcauth.Member, len(rows))
	for i, r := range rows {
		all[i] = memberNoun(r, roles[r.ID])
		all[i].Invitation = links[r.ID]
	}
	return listOf(all, limit, func(m svcauth.Member) string { return m.ID }), nil
}

// MemberRoles returns a page of the roles that were granted to a member, newest
// grant first; it needs members:read.
func (s *Service) MemberRoles(ctx context.Context, id string, o svcauth.ListOptions) (list svcauth.List[svcauth.Grant], err error) {
	a, err := caller(ctx, svcauth.MembersRead)
	if err != nil {
		return list, err
	}
	if _, err := memberRow(ctx, s.read(), a.OrgID, id); err != nil {
		return list, s.problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	grants, err := s.read().Grants(ctx, a.OrgID, id)
	if err != nil {
		return list, s.problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	return pageWithin(grants, o, func(g svcauth.Grant) (time.Time, string) { return g.GrantedAt, g.RoleID })
}

func memberRow(ctx context.Context, q *store.Q, orgID, id string) (store.MemberRow, error) {
	if err := checkID(svcauth.PrefixMember, id); err != nil {
		return store.MemberRow{}, err
	}
	return q.Member(ctx, orgID, id)
}

func (s *Service) member(ctx context.Context, q *store.Q, row store.MemberRow) (svcauth.Member, error) {
	roles, err := q.GrantsOf(ctx, row.OrgID, []string{row.ID})
	return memberNoun(row, roles[row.ID]), err
}

func memberNoun(r store.MemberRow, roles []svcauth.Ref) svcauth.Member {
	m := svcauth.Member{ID: r.ID, Email: r.Email, FirstName: r.FirstName, LastName: r.LastName, Status: svcauth.MemberActive, Suspended: r.Suspended,
		Roles: roles, CreatedAt: r.CreatedAt, CreatedBy: svcauth.Creator{ID: r.CreatedByID, Email: r.CreatedByName}, LastSignInAt: r.LastSignInAt, Version: r.Version}
	if roles == nil {
		m.Roles = []svcauth.Ref{}
	}
	switch {
	case r.Suspended:
		m.Status = svcauth.MemberSuspended
	case r.ActivatedAt == nil:
		m.Status = svcauth.MemberInvited
	}
	return m
}

// memberOperation is a change of members. Each of them decides who may do what, so a service account needs its organization's consent.
func memberOperation(action, id string) operation {
	return operation{need: svcauth.MembersManage, action: action, target: svcauth.AuditTarget{Kind: "member", ID: id}, access: true}
}

// targetMember reads the member that is about to be changed and notes it for the audit log.
func (t *tx) targetMember(ctx context.Context, id string) (store.MemberRow, svcauth.Member, error) {
	row, err := memberRow(ctx, t.Q, t.actor.OrgID, id)
	if err != nil {
		return row, svcauth.Member{}, err
	}
	t.target.ID, t.target.Name = row.ID, row.Email
	m, err := t.s.member(ctx, t.Q, row)
	t.before = m
	return row, m, err
}

// UpdateMember changes names, or suspends a member (its sessions and
// application keys end at once) or lets it back in, which hands over all that
// it holds. version 0: whatever it is. Problems:
// [svcauth.CodePreconditionFailed], [svcauth.CodeConflict] for the last
// Administrator.
func (s *Service) UpdateMember(ctx context.Context, id string, version int64, patch svcauth.MemberPatch) (changed svcauth.Member, err error) {
	err = s.change(ctx, memberOperation("member.update", id), func(ctx context.Context, t *tx) error {
		row, was, err := t.targetMember(ctx, id)
		if err != nil {
			return err
		}
		if version != 0 && version != row.Version {
			return store.ErrStale
		}
		if err := patchNames(&row, patch.FirstName, patch.LastName); err != nil {
			return err
		}
		if patch.Suspended != nil && *patch.Suspended != row.Suspended {
			if err := s.suspend(ctx, t, row, *patch.Suspended); err != nil {
				return err
			}
			row.Suspended = *patch.Suspended
		}
		if changed, err = t.saveMember(ctx, row, was); err != nil {
			return err
		}
		return s.addInvitation(ctx, t.Q, row.OrgID, &changed)
	})
	return changed, err
}

func patchNames(row *store.MemberRow, first, last *string) (err error) {
	if first != nil {
		if row.FirstName, err = validPersonName("body.first_name", *first); err != nil {
			return err
		}
	}
	if last != nil {
		row.LastName, err = validPersonName("body.last_name", *last)
	}
	return err
}

// saveMember writes what is different, and gives the member as it then is.
func (t *tx) saveMember(ctx context.Context, row store.MemberRow, was svcauth.Member) (svcauth.Member, error) {
	if row.FirstName == was.FirstName && row.LastName == was.LastName && row.Suspended == was.Suspended {
		t.silent = true
		return was, nil
	}
	if err := t.UpdateMember(ctx, row); err != nil {
		return svcauth.Member{}, err
	}
	row.Version++
	m := memberNoun(row, was.Roles)
	t.after = m
	return m, nil
}

// suspend does what belongs to either direction; the row is written by the caller.
func (s *Service) suspend(ctx context.Context, t *tx, row store.MemberRow, suspended bool) error {
	if !suspended {
		if err := s.mayHandOverAccount(ctx, t, row.ID, handover{what: "let this member back in"}); err != nil {
			return err
		}
		return t.endKeys(ctx, row) // that an earlier release's suspension left
	}
	if err := t.keepAnAdministrator(ctx, row); err != nil {
		return err
	}
	if err := t.DeleteInvitations(ctx, row.OrgID, row.ID); err != nil {
		return err
	}
	return t.endAccess(ctx, row)
}

// DeleteMember removes a member. Its sessions end and its application keys die at once, with their tokens; the service accounts that it made live on. Problem:
// [svcauth.CodeConflict] for the last Administrator.
func (s *Service) DeleteMember(ctx context.Context, id string) error {
	return s.change(ctx, memberOperation("member.delete", id), func(ctx context.Context, t *tx) error {
		row, _, err := t.targetMember(ctx, id)
		if err != nil {
			return err
		}
		if err := t.keepAnAdministrator(ctx, row); err != nil {
			return err
		}
		if err := t.endKeys(ctx, row); err != nil {
			return err
		}
		return t.DeleteMember(ctx, row.OrgID, row.ID)
	})
}

// UnassignMemberRole takes a role from a member. Tokens of its application keys
// that carry the role die at once. It is no error if it did not hold it. With a
// grantID it ends that grant alone: if another has taken its place, nothing
// happens. Problem: [svcauth.CodeConflict] if it is the last Administrator.
func (s *Service) UnassignMemberRole(ctx context.Context, id, roleID, grantID string) error {
	return s.change(ctx, memberOperation("member.unassign_role", id), func(ctx context.Context, t *tx) error {
		row, _, err := t.targetMember(ctx, id)
		if err != nil {
			return err
		}
		role, err := s.namedRole(ctx, t, roleID)
		if err != nil {
			return err
		}
		had, err := t.grantToEnd(ctx, row.ID, role, grantID)
		if err != nil || t.silent {
			return err
		}
		if role.Kind == store.RoleAdministrator {
			if err := t.keepAnAdministrator(ctx, row); err != nil {
				return err
			}
		}
		if err := t.DeleteGrant(ctx, row.OrgID, row.ID, role.ID); err != nil {
			return err
		}
		t.before = grantNoun(had, role)
		return t.revokeKeys(ctx, row, role.Name)
	})
}

// keepAnAdministrator refuses to lose the active member who holds Administrator
// for longest, if no other does for as long: an organization must not lose its
// last one by the passage of time either.
func (t *tx) keepAnAdministrator(ctx context.Context, m store.MemberRow) error {
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
	if held.ExpiresAt != nil && !held.ExpiresAt.After(t.now) {
		return nil
	}
	others, err := t.OtherHolders(ctx, m.OrgID, role.ID, m.ID, held.ExpiresAt)
	if err == nil && others == 0 {
		err = svcauth.NewProblem(svcauth.CodeConflict, "%s is the last Administrator of this organization: nobody could manage it any more. "+
			"Make another active member Administrator first, by a grant that does not expire.", m.Email)
	}
	return err
}

// revokeKeys kills those tokens of a member's application keys that carry a role.
func (t *tx) revokeKeys(ctx context.Context, m store.MemberRow, role string) error {
	keys, err := t.ApplicationKeyIDs(ctx, m.OrgID, m.ID)
	if err != nil {
		return err
	}
	for _, id := range keys {
		if err := t.revokeClient(ctx, m.OrgID, id, role); err != nil {
			return err
		}
	}
	return nil
}

// touchKeys tells every node that a member's application keys can do something else now.
func (t *tx) touchKeys(ctx context.Context, m store.MemberRow) error {
	keys, err := t.ApplicationKeyIDs(ctx, m.OrgID, m.ID)
	if err != nil {
		return err
	}
	for _, id := range keys {
		if err := t.touch(ctx, m.OrgID, store.ChangeClient, id); err != nil {
			return err
		}
	}
	return nil
}
