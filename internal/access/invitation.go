package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// How long one-time links work.
const (
	invitationLife = 7 * 24 * time.Hour
	resetLife      = 24 * time.Hour
)

// Invited is what a one-time link is about, for the page that it opens.
type Invited struct {
	Email, FirstName, LastName string
	Kind                       string // store.InvitationInvite or store.InvitationReset: "invite" or "reset"
	Organization               string // its name
}

// InviteMember makes a member who can't do anything yet, and a one-time link, InvitationURL in the answer, by which the person chooses a password. The caller must
// hold all that the roles give. To invite somebody who has not accepted yet makes a new link, voids the old one, adds the roles and takes the names that are given. Where mail is
// configured the link is sent too. Problem: [svcauth.CodeConflict] where the address is an active or suspended member's.
func (s *Service) InviteMember(ctx context.Context, n svcauth.NewMember) (made svcauth.Member, err error) {
	op := memberOperation("member.invite", "")
	op.target.Name = n.Email
	token := newToken()
	err = s.change(ctx, op, func(ctx context.Context, t *tx) error {
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
		if err := t.PutInvitation(ctx, t.link(row, token, store.InvitationInvite)); err != nil {
			return err
		}
		made, err = s.member(ctx, t.Q, row)
		t.target.ID, t.target.Name, t.after = row.ID, row.Email, made // before the link is added
		made.InvitationURL = s.invitationURL(token)
		return err
	})
	if err != nil {
		return svcauth.Member{}, err
	}
	s.mailLink(ctx, organizationOf(ctx), store.InvitationInvite, made.Email, token)
	return made, nil
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

// invitee makes the member, or finds the one who was invited before. The link to that one hands over what it was given then.
func (s *Service) invitee(ctx context.Context, t *tx, n svcauth.NewMember) (store.MemberRow, error) {
	row, err := t.MemberByEmail(ctx, t.actor.OrgID, n.Email)
	switch {
	case errors.Is(err, store.ErrNotFound):
		row = store.MemberRow{ID: svcauth.NewIDAt(svcauth.PrefixMember, t.now), OrgID: t.actor.OrgID, Email: n.Email, FirstName: n.FirstName, LastName: n.LastName,
			CreatedAt: t.now, CreatedByID: t.actor.ID, CreatedByName: t.actor.Name, Version: 1}
		return row, t.InsertMember(ctx, row)
	case err != nil:
		return row, err
	case row.ActivatedAt != nil || row.Suspended:
		return row, svcauth.NewProblem(svcauth.CodeConflict, "%s is a member of this organization already.", row.Email)
	}
	t.target.ID = row.ID
	if err := s.mayHandOverAccount(ctx, t, row.ID, "invite this person again"); err != nil {
		return row, err
	}
	row.FirstName, row.LastName = cmp.Or(n.FirstName, row.FirstName), cmp.Or(n.LastName, row.LastName)
	err = t.UpdateMember(ctx, row)
	row.Version++
	return row, err
}

// grantInvited gives the roles that the invited one does not hold yet.
func (s *Service) grantInvited(ctx context.Context, t *tx, row store.MemberRow, roleIDs []string) error {
	defer func() { t.before, t.silent = nil, false }() // it is one event, of the invitation
	for _, id := range roleIDs {
		if _, err := s.assign(ctx, t, store.GrantRow{OrgID: row.OrgID, PrincipalID: row.ID, RoleID: id, GrantedAt: t.now}); err != nil {
			return err
		}
	}
	return nil
}

// ResetMember makes a one-time link, InvitationURL in the answer, by which a member sets another password; the present one stops working and its sessions end. That
// hands over all that the member holds. For somebody who has not accepted an invitation yet it makes a new one.
func (s *Service) ResetMember(ctx context.Context, id string) (changed svcauth.Member, err error) {
	token, kind := newToken(), store.InvitationReset
	err = s.change(ctx, memberOperation("member.reset", id), func(ctx context.Context, t *tx) error {
		row, was, err := t.targetMember(ctx, id)
		if err != nil {
			return err
		}
		t.before = nil // the password is not shown, and nothing else changes
		if row.Suspended {
			return svcauth.NewProblem(svcauth.CodeConflict, "%s is suspended. Let the member back in first.", row.Email)
		}
		if err := s.mayHandOverAccount(ctx, t, row.ID, "make a link to this member's account"); err != nil {
			return err
		}
		if row.ActivatedAt == nil {
			kind = store.InvitationInvite
		}
		if err := t.SetPassword(ctx, row.OrgID, row.ID, ""); err != nil {
			return err
		}
		if err := t.EndSessions(ctx, row.OrgID, row.ID); err != nil {
			return err
		}
		changed = was
		changed.Version++
		changed.InvitationURL = s.invitationURL(token)
		return t.PutInvitation(ctx, t.link(row, token, kind))
	})
	if err != nil {
		return svcauth.Member{}, err
	}
	s.mailLink(ctx, organizationOf(ctx), kind, changed.Email, token)
	return changed, nil
}

// newToken makes a one-time token: 256 random bits, base64url.
func newToken() svcauth.Secret {
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	return svcauth.Secret(base64.RawURLEncoding.EncodeToString(raw[:]))
}

// tokenHash is what is kept of a token. 256 random bits need no slow hash.
func tokenHash(token svcauth.Secret) []byte {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return sum[:]
}

// link is a one-time link that the actor makes.
func (t *tx) link(m store.MemberRow, token svcauth.Secret, kind string) store.InvitationRow {
	life := invitationLife
	if kind == store.InvitationReset {
		life = resetLife
	}
	return store.InvitationRow{TokenHash: tokenHash(token), OrgID: m.OrgID, MemberID: m.ID, Kind: kind, ExpiresAt: t.now.Add(life), MadeByID: t.actor.ID}
}

// invitationURL is the console's page that takes the token. The page must answer with Referrer-Policy: no-referrer and Cache-Control: no-store and load nothing
// from elsewhere; no log line may hold a query.
func (s *Service) invitationURL(token svcauth.Secret) string {
	return s.cfg.Issuer + "/console/invitation?token=" + token.Reveal()
}

// Invitation says what a one-time link is about. It needs no actor. Unknown, used, voided and expired tokens, and those whose maker holds less by now, get the same [svcauth.CodeNotFound].
func (s *Service) Invitation(ctx context.Context, token svcauth.Secret) (Invited, error) {
	i, m, err := s.openInvitation(ctx, s.read(), token)
	if err != nil {
		return Invited{}, s.problem(err, svcauth.AuditTarget{Kind: "invitation"})
	}
	org, err := s.read().Organization(ctx, i.OrgID)
	return Invited{Email: m.Email, FirstName: m.FirstName, LastName: m.LastName, Kind: i.Kind, Organization: org.Name}, s.problem(err, svcauth.AuditTarget{})
}

func (s *Service) openInvitation(ctx context.Context, q *store.Q, token svcauth.Secret) (store.InvitationRow, store.MemberRow, error) {
	i, err := q.Invitation(ctx, tokenHash(token), s.now())
	var m store.MemberRow
	if err == nil {
		m, err = q.Member(ctx, i.OrgID, i.MemberID)
	}
	opens := false
	if err == nil && !m.Suspended {
		opens, err = s.makerCould(ctx, q, i)
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && !opens {
		err = svcauth.NewProblem(svcauth.CodeNotFound, "This link does not work any more: it was used, replaced or is too old, or whoever made it may no longer give what it opens. Ask an administrator of your organization for a new one.")
	}
	return i, m, err
}

// makerCould says whether whoever made a link, and so may have kept it, holds at this moment all that it opens: who is gone, suspended or holds less by now, or whose
// invitee was given more by somebody else, gains nothing by it.
func (s *Service) makerCould(ctx context.Context, q *store.Q, i store.InvitationRow) (bool, error) {
	org, err := q.Organization(ctx, i.OrgID)
	if err != nil {
		return false, err
	}
	opens, err := s.holdings(ctx, q, i.OrgID, org.Operator, i.MemberID)
	if err != nil {
		return false, err
	}
	maker := Actor{Kind: svcauth.KindSystem}
	switch {
	case svcauth.ValidID(svcauth.PrefixMember, i.MadeByID):
		m, err := q.Member(ctx, i.OrgID, i.MadeByID)
		if err != nil || m.Suspended {
			return false, err
		}
		maker.Kind = svcauth.KindMember
	case svcauth.ValidID(svcauth.PrefixServiceAccount, i.MadeByID):
		account, err := q.AccountPrincipal(ctx, i.OrgID, i.MadeByID)
		if err != nil || account.Off {
			return false, err
		}
		maker.Kind = svcauth.KindServiceAccount
	}
	held, err := s.holdings(ctx, q, i.OrgID, org.Operator, i.MadeByID)
	maker.Privileges = held.Privileges
	return len(maker.missing(opens.Privileges)) == 0, err
}

// AcceptInvitation sets the password of the member whose link it is, makes it active, ends its sessions and voids the link. It needs no actor; where the context has one without
// an ID, its IP and RequestID stand in the audit log. Problems: [svcauth.CodeNotFound] as for [Service.Invitation], [svcauth.CodeInvalid] for a password that is refused.
func (s *Service) AcceptInvitation(ctx context.Context, token, password svcauth.Secret) (memberID string, err error) {
	i, m, err := s.openInvitation(ctx, s.read(), token)
	if err != nil {
		return "", s.problem(err, svcauth.AuditTarget{Kind: "invitation"})
	}
	org, err := s.read().Organization(ctx, i.OrgID)
	if err != nil {
		return "", s.problem(err, svcauth.AuditTarget{Kind: "organization"})
	}
	if err := s.validPassword("body.password", password, m.Email, m.FirstName, m.LastName, org.Name); err != nil {
		return "", err
	}
	hash := s.hashing.hash(password)
	op := operation{action: "member.set_password", target: svcauth.AuditTarget{Kind: "member", ID: m.ID, Name: m.Email}}
	if i.Kind == store.InvitationInvite {
		op.action = "member.activate"
	}
	err = s.change(s.asMember(ctx, m), op, func(ctx context.Context, t *tx) error {
		if _, _, err := s.openInvitation(ctx, t.Q, token); err != nil { // of two at once, one
			return err
		}
		return t.setPassword(ctx, m, hash)
	})
	return m.ID, err
}

// setPassword writes a password that its owner chose: whoever had the old one, or a link, is out.
func (t *tx) setPassword(ctx context.Context, m store.MemberRow, hash string) error {
	if err := t.SetPassword(ctx, m.OrgID, m.ID, hash); err != nil {
		return err
	}
	if err := t.ActivateMember(ctx, m.OrgID, m.ID, t.now); err != nil {
		return err
	}
	if err := t.EndSessions(ctx, m.OrgID, m.ID); err != nil {
		return err
	}
	return t.DeleteInvitations(ctx, m.OrgID, m.ID)
}

// asMember lets a member that has proved who it is act for itself.
func (s *Service) asMember(ctx context.Context, m store.MemberRow) context.Context {
	from, _ := ActorFrom(ctx)
	return WithActor(ctx, Actor{ID: m.ID, Kind: svcauth.KindMember, Name: m.Email, OrgID: m.OrgID, IP: from.IP, RequestID: from.RequestID})
}

// mailLink sends a link where mail is configured. It waits for nothing.
func (s *Service) mailLink(ctx context.Context, orgID, kind, to string, token svcauth.Secret) {
	if s.cfg.Mail == nil {
		return
	}
	name := "your organization"
	if org, err := s.read().Organization(ctx, orgID); err == nil {
		name = org.Name
	}
	subject, what, life := "Invitation to "+name, "You are invited to "+name+". To accept, choose a password here:", "seven days"
	if kind == store.InvitationReset {
		subject, what, life = "Set a new password", "An administrator of "+name+" asks you to set a new password. Do so here:", "24 hours"
	}
	s.cfg.Mail(ctx, to, subject, fmt.Sprintf("%s\n\n%s\n\nThe link works once and for %s. If you did not expect this message, do nothing.\n", what, s.invitationURL(token), life))
}
