package people

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// LinkInfo is what a one-time link is about, for the page that it opens.
type LinkInfo struct {
	Email, FirstName, LastName string
	Kind                       string // store.InvitationInvite or store.InvitationReset: "invite" or "reset"
	Organization               string // its name
	ExpiresAt                  time.Time
	NoPassword                 bool // the organization takes none: single sign-on leads in
}

// InviteMember makes a member who can't do anything yet, and a one-time link,
// InvitationURL in the answer, by which the person chooses a password. The
// caller must hold all that the member will hold. To invite somebody who has
// not accepted yet makes a new link, voids the old one, adds the roles and
// takes the names that are given. If mail is configured the link is sent too;
// a service account gets no link, only the mail goes. Problems:
// [svcauth.CodeConflict] if the address is an active or suspended member's;
// for a service account [svcauth.CodeInvalid] if there is no mail, and
// [svcauth.CodeTooMany].
func (s *Service) InviteMember(ctx context.Context, n svcauth.NewMember) (made svcauth.Member, err error) {
	op := access.MemberOperation("member.invite", "")
	op.Target.Name = n.Email
	var l link
	err = s.access.Change(ctx, op, func(ctx context.Context, t *access.Tx) error {
		if err := checkNewMember(&n); err != nil {
			return err
		}
		row, err := s.invitee(ctx, t, n)
		if err != nil {
			return err
		}
		if err := s.grantInvited(ctx, t, row, n.RoleIDs); err != nil {
			return err
		}
		if err := t.MayHandOverAccount(ctx, row.ID, access.Handover{What: "invite this person"}); err != nil {
			return err
		}
		if l, err = s.makeLink(ctx, t, row, store.InvitationInvite); err != nil {
			return err
		}
		made, err = s.member(ctx, t.Q, row)
		t.Target.ID, t.Target.Name, t.After = row.ID, row.Email, made // before the link is added
		return err
	})
	if err != nil {
		return svcauth.Member{}, err
	}
	return s.withLink(made, l), nil
}

// withLink sends a link's mail, and returns the member with what the maker of
// the link may know of it.
func (s *Service) withLink(m svcauth.Member, l link) svcauth.Member {
	m.InvitationURL, m.Invitation = l.url, s.invitationNoun(l.row)
	s.send(l)
	return m
}

func checkNewMember(n *svcauth.NewMember) (err error) {
	if n.Email, err = validEmail("body.email", n.Email); err != nil {
		return err
	}
	if n.FirstName, err = validPersonName("body.first_name", n.FirstName); err != nil {
		return err
	}
	if n.LastName, err = validPersonName("body.last_name", n.LastName); err != nil {
		return err
	}
	n.RoleIDs = slices.Compact(slices.Sorted(slices.Values(n.RoleIDs)))
	if len(n.RoleIDs) > svcauth.MaxRolesPerPrincipal {
		return svcauth.InvalidField("body.role_ids", "A member holds at most %d roles.", svcauth.MaxRolesPerPrincipal)
	}
	return nil
}

// invitee makes the member, or finds the one who was invited before.
func (s *Service) invitee(ctx context.Context, t *access.Tx, n svcauth.NewMember) (store.MemberRow, error) {
	row, err := t.MemberByEmail(ctx, t.Actor.OrgID, n.Email)
	switch {
	case errors.Is(err, store.ErrNotFound):
		row = store.MemberRow{
			ID:            typeid.New(svcauth.PrefixMember, t.Now),
			OrgID:         t.Actor.OrgID,
			Email:         n.Email,
			FirstName:     n.FirstName,
			LastName:      n.LastName,
			CreatedAt:     t.Now,
			CreatedByID:   t.Actor.ID,
			CreatedByName: t.Actor.Name,
			Version:       1,
		}
		return row, t.InsertMember(ctx, row)
	case err != nil:
		return row, err
	case row.ActivatedAt != nil || row.Suspended:
		return row, svcauth.NewProblem(svcauth.CodeConflict, "%s is a member of this organization already.", row.Email)
	}
	t.Target.ID = row.ID
	row.FirstName, row.LastName = cmp.Or(n.FirstName, row.FirstName), cmp.Or(n.LastName, row.LastName)
	err = t.UpdateMember(ctx, row)
	row.Version++
	return row, err
}

// grantInvited assigns the roles that the invited member does not hold yet.
func (s *Service) grantInvited(ctx context.Context, t *access.Tx, row store.MemberRow, roleIDs []string) error {
	defer func() { t.Before, t.After, t.Silent = nil, nil, false }() // it is one event, of the invitation
	for _, id := range roleIDs {
		if _, err := t.Assign(
			ctx,
			store.GrantRow{OrgID: row.OrgID, PrincipalID: row.ID, RoleID: id, GrantedAt: t.Now},
		); err != nil {
			return err
		}
	}
	return nil
}

// ResetMember makes a one-time link, InvitationURL in the answer, by which a
// member sets another password; the present one stops working, and its sessions
// and application keys end. That hands over all that the member holds. For
// somebody who has not accepted an invitation yet it makes a new one. A service
// account gets no link, as at [Service.InviteMember]. Problem:
// [svcauth.CodeConflict] if the organization takes no passwords.
func (s *Service) ResetMember(ctx context.Context, id string) (changed svcauth.Member, err error) {
	kind := store.InvitationReset
	var l link
	err = s.access.Change(ctx, access.MemberOperation("member.reset", id), func(
		ctx context.Context,
		t *access.Tx,
	) error {
		row, was, err := s.targetMember(ctx, t, id)
		if err != nil {
			return err
		}
		t.Before = nil // the password is not shown, and nothing else changes
		if row.Suspended {
			return svcauth.NewProblem(svcauth.CodeConflict, "%s is suspended. Let the member back in first.", row.Email)
		}
		if err := t.MayHandOverAccount(ctx, row.ID, access.Handover{
			What: "make a link to this member's account",
		}); err != nil {
			return err
		}
		if row.ActivatedAt == nil {
			kind = store.InvitationInvite
		} else if err := s.mayHavePassword(ctx, t, row); err != nil {
			return err
		}
		if err := t.SetPassword(ctx, row.OrgID, row.ID, ""); err != nil {
			return err
		}
		if err := s.endAccess(ctx, t, row); err != nil {
			return err
		}
		changed = was
		changed.Version++
		l, err = s.makeLink(ctx, t, row, kind)
		return err
	})
	if err != nil {
		return svcauth.Member{}, err
	}
	return s.withLink(changed, l), nil
}

// Invitation returns what a one-time link is about. It needs no actor. Unknown,
// used, voided and expired tokens, and those whose maker holds less by now, get
// the same [svcauth.CodeNotFound].
func (s *Service) Invitation(ctx context.Context, token svcauth.Secret) (LinkInfo, error) {
	i, m, err := s.openInvitation(ctx, s.read(), token)
	if err != nil {
		return LinkInfo{}, access.Problem(err, svcauth.AuditTarget{Kind: "invitation"})
	}
	org, err := s.read().Organization(ctx, i.OrgID)
	return LinkInfo{
		Email:        m.Email,
		FirstName:    m.FirstName,
		LastName:     m.LastName,
		Kind:         i.Kind,
		Organization: org.Name,
		ExpiresAt:    i.ExpiresAt,
		NoPassword:   !org.PasswordMayEnter(),
	}, access.Problem(err, svcauth.AuditTarget{})
}

// AcceptInvitation sets the password of the member whose link it is, makes it
// active, ends its sessions and application keys, and voids the link. It needs
// no actor. If the context has one without an ID, its IP and RequestID stand in
// the audit log. Problems: [svcauth.CodeNotFound] as for
// [Service.Invitation], [svcauth.CodeInvalid] for a password that is refused,
// [svcauth.CodeForbidden] if the organization takes none.
func (s *Service) AcceptInvitation(ctx context.Context, token, password svcauth.Secret) (memberID string, err error) {
	i, m, err := s.openInvitation(ctx, s.read(), token)
	if err != nil {
		return "", access.Problem(err, svcauth.AuditTarget{Kind: "invitation"})
	}
	org, err := s.read().Organization(ctx, i.OrgID)
	if err != nil {
		return "", access.Problem(err, svcauth.AuditTarget{Kind: "organization"})
	}
	if !org.PasswordMayEnter() {
		return "", s.noPasswords()
	}
	if err := s.validPassword("body.password", password, m.Email, m.FirstName, m.LastName, org.Name); err != nil {
		return "", err
	}
	from, _ := access.ActorFrom(ctx)
	ip, _ := netip.ParseAddr(from.IP)
	attempt, err := s.beginAttempt(m.Email, ip)
	if err != nil {
		return "", err
	}
	hash, err := attempt.hash(ctx, password)
	attempt.end(false)
	if err != nil {
		return "", err
	}
	op := access.Operation{
		Action: "member.set_password",
		Target: svcauth.AuditTarget{Kind: "member", ID: m.ID, Name: m.Email},
	}
	if i.Kind == store.InvitationInvite {
		op.Action = "member.activate"
	}
	err = s.access.Change(s.asMember(ctx, m), op, func(ctx context.Context, t *access.Tx) error {
		if _, _, err := s.openInvitation(ctx, t.Q, token); err != nil { // of two at once, one
			return err
		}
		if now, err := t.Organization(ctx, m.OrgID); err != nil {
			return err
		} else if !now.PasswordMayEnter() {
			return s.noPasswords()
		}
		return s.setPassword(ctx, t, m, hash)
	})
	return m.ID, err
}

// mayHavePassword refuses to give a member of an organization that takes no
// passwords a new one.
func (s *Service) mayHavePassword(ctx context.Context, t *access.Tx, m store.MemberRow) error {
	org, err := t.Organization(ctx, m.OrgID)
	if err != nil || org.PasswordMayEnter() {
		return err
	}
	return svcauth.NewProblem(svcauth.CodeConflict, "This organization takes no passwords (password_sign_in is off), "+
		"so %s needs none: single sign-on leads in. To end the member's sessions and application keys, suspend it "+
		"and let it back in.", m.Email)
}

// setPassword writes a password that its owner chose: whoever had the old one,
// a link or a key is out.
func (s *Service) setPassword(ctx context.Context, t *access.Tx, m store.MemberRow, hash string) error {
	if err := t.SetPassword(ctx, m.OrgID, m.ID, hash); err != nil {
		return err
	}
	if err := t.ActivateMember(ctx, m.OrgID, m.ID, t.Now); err != nil {
		return err
	}
	if err := s.endAccess(ctx, t, m); err != nil {
		return err
	}
	return t.DeleteInvitations(ctx, m.OrgID, m.ID)
}

// asMember lets a member that has proved who it is act for itself.
func (s *Service) asMember(ctx context.Context, m store.MemberRow) context.Context {
	from, _ := access.ActorFrom(ctx)
	return access.WithActor(ctx, access.Actor{
		ID:        m.ID,
		Kind:      svcauth.KindMember,
		Name:      m.Email,
		OrgID:     m.OrgID,
		IP:        from.IP,
		RequestID: from.RequestID,
	})
}
