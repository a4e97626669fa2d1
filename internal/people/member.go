package people

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Member returns a member. It needs members:read.
func (s *Service) Member(ctx context.Context, id string) (svcauth.Member, error) {
	a, err := access.Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return svcauth.Member{}, err
	}
	row, err := access.MemberRow(ctx, s.read(), a.OrgID, id)
	if err != nil {
		return svcauth.Member{}, access.Problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	m, err := s.member(ctx, s.read(), row)
	if err == nil {
		err = s.addInvitation(ctx, s.read(), a.OrgID, &m)
	}
	return m, access.Problem(err, svcauth.AuditTarget{Kind: "member"})
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

// Members lists members, newest first. It needs members:read.
func (s *Service) Members(ctx context.Context, o svcauth.ListOptions) (none svcauth.List[svcauth.Member], err error) {
	a, err := access.Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return none, err
	}
	before, limit, err := paging.Below(o, svcauth.PrefixMember)
	if err != nil {
		return none, err
	}
	rows, err := s.read().Members(ctx, a.OrgID, before, limit+1)
	if err != nil {
		return none, access.Problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	roles, err := s.read().GrantsOf(ctx, a.OrgID, ids)
	if err != nil {
		return none, access.Problem(err, svcauth.AuditTarget{Kind: "member"})
	}
	links := map[string]*svcauth.Invitation{}
	if len(rows) > 0 { // newest first
		open, err := s.read().InvitationsBetween(ctx, a.OrgID, rows[len(rows)-1].ID, rows[0].ID, s.now())
		if err != nil {
			return none, access.Problem(err, svcauth.AuditTarget{Kind: "member"})
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
	return paging.List(all, limit, func(m svcauth.Member) string { return m.ID }), nil
}

func (s *Service) member(ctx context.Context, q *store.Q, row store.MemberRow) (svcauth.Member, error) {
	roles, err := q.GrantsOf(ctx, row.OrgID, []string{row.ID})
	return memberNoun(row, roles[row.ID]), err
}

func memberNoun(r store.MemberRow, roles []svcauth.Ref) svcauth.Member {
	m := svcauth.Member{
		ID:           r.ID,
		Email:        r.Email,
		FirstName:    r.FirstName,
		LastName:     r.LastName,
		Status:       svcauth.MemberActive,
		Suspended:    r.Suspended,
		Roles:        roles,
		CreatedAt:    r.CreatedAt,
		CreatedBy:    svcauth.Creator{ID: r.CreatedByID, Email: r.CreatedByName},
		LastSignInAt: r.LastSignInAt,
		Version:      r.Version,
	}
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

// targetMember reads the member that is about to be changed, and notes it for
// the audit log.
func (s *Service) targetMember(ctx context.Context, t *access.Tx, id string) (store.MemberRow, svcauth.Member, error) {
	row, err := access.MemberRow(ctx, t.Q, t.Actor.OrgID, id)
	if err != nil {
		return row, svcauth.Member{}, err
	}
	t.Target.ID, t.Target.Name = row.ID, row.Email
	m, err := s.member(ctx, t.Q, row)
	t.Before = m
	return row, m, err
}

// UpdateMember changes names, or suspends a member (its sessions and
// application keys end at once) or lets it back in, which hands over all that
// it holds. If version is 0, any is taken. Problems:
// [svcauth.CodePreconditionFailed], and [svcauth.CodeConflict] for the last
// Administrator.
func (s *Service) UpdateMember(
	ctx context.Context,
	id string,
	version int64,
	patch svcauth.MemberPatch,
) (changed svcauth.Member, err error) {
	err = s.access.Change(ctx, access.MemberOperation("member.update", id), func(
		ctx context.Context,
		t *access.Tx,
	) error {
		row, was, err := s.targetMember(ctx, t, id)
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
		if changed, err = s.saveMember(ctx, t, row, was); err != nil {
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

// saveMember writes what is different, and returns the member as it then is.
func (s *Service) saveMember(
	ctx context.Context,
	t *access.Tx,
	row store.MemberRow,
	was svcauth.Member,
) (svcauth.Member, error) {
	if row.FirstName == was.FirstName && row.LastName == was.LastName && row.Suspended == was.Suspended {
		t.Silent = true
		return was, nil
	}
	if err := t.UpdateMember(ctx, row); err != nil {
		return svcauth.Member{}, err
	}
	row.Version++
	m := memberNoun(row, was.Roles)
	t.After = m
	return m, nil
}

// suspend does what belongs to either direction. The caller writes the row.
func (s *Service) suspend(ctx context.Context, t *access.Tx, row store.MemberRow, suspended bool) error {
	if !suspended {
		if err := t.MayHandOverAccount(ctx, row.ID, access.Handover{What: "let this member back in"}); err != nil {
			return err
		}
		return t.EndKeys(ctx, row) // that an earlier release's suspension left
	}
	if err := t.KeepAnAdministrator(ctx, row); err != nil {
		return err
	}
	if err := t.DeleteInvitations(ctx, row.OrgID, row.ID); err != nil {
		return err
	}
	return s.endAccess(ctx, t, row)
}

// DeleteMember removes a member. Its sessions end at once, and its application
// keys with their tokens. The service accounts that it made live on. Problem:
// [svcauth.CodeConflict] for the last Administrator.
func (s *Service) DeleteMember(ctx context.Context, id string) error {
	return s.access.Change(ctx, access.MemberOperation("member.delete", id), func(
		ctx context.Context,
		t *access.Tx,
	) error {
		row, _, err := s.targetMember(ctx, t, id)
		if err != nil {
			return err
		}
		if err := t.KeepAnAdministrator(ctx, row); err != nil {
			return err
		}
		if err := t.EndKeys(ctx, row); err != nil {
			return err
		}
		return t.DeleteMember(ctx, row.OrgID, row.ID)
	})
}

// endAccess ends what a member can come in by without a proof of who it is: its
// sessions, with the sign-ins that are under way, and its application keys.
func (s *Service) endAccess(ctx context.Context, t *access.Tx, m store.MemberRow) error {
	if err := t.EndSessions(ctx, m.OrgID, m.ID); err != nil {
		return err
	}
	return t.EndKeys(ctx, m)
}
