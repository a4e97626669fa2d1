package people

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// SignInRequest is an attempt to sign in to the console.
type SignInRequest struct {
	Email          string
	Password       svcauth.Secret
	OrganizationID string // empty: whichever has a member with this address and password
	IP             netip.Addr
}

// Identity says who has signed in and how. All but Choices is for the session
// ([Service.SessionActor]). If address and password fit in several
// organizations and none was named, only Choices is set. The one that is meant
// is signed in by [Service.SignInVerified], as long as nothing has ended its
// sessions since.
type Identity struct {
	MemberID     string
	Epoch        int64  // of the member's sessions when the proof was asked for
	Provider     string // of single sign-on, that vouched for the address; empty: the password was right
	Organization svcauth.Ref
	Choices      []Identity
}

// maxMemberships bounds in how many organizations a password is tried. A person
// who is in more must name one.
const maxMemberships = 20

// wrongAnswerAfter is how long the answer to a wrong address or password takes,
// or a multiple of it. An address with three memberships costs three hashes,
// and nobody must learn that from a clock.
const wrongAnswerAfter = 400 * time.Millisecond

// SignIn checks address and password. It needs no actor. If the context has one
// without an ID, its RequestID stands in the audit log.
//
// Wrong ones of every kind get the same answer after the same time,
// [svcauth.CodeUnauthenticated]. Too many of them get [svcauth.CodeTooMany],
// with RetryAfter. A right password from a network that sent no wrong one is
// always served. Only a person who knew the password learns that the account is
// suspended, or that its organization takes no passwords:
// [svcauth.CodeForbidden].
func (s *Service) SignIn(ctx context.Context, r SignInRequest) (Identity, error) {
	began := time.Now()
	attempt, err := s.beginAttempt(r.Email, r.IP)
	if err != nil {
		s.pauseRefused(ctx, began)
		return Identity{}, err
	}
	rows, fits, err := s.withPassword(ctx, attempt, r)
	attempt.end(err == nil && len(fits) == 0)
	if err != nil {
		return Identity{}, access.Problem(err, svcauth.AuditTarget{})
	}
	if len(fits) == 0 {
		s.noteRefusedSignIn(ctx, rows, r.IP, "The password was wrong.")
		s.pause(ctx, began)
		return Identity{}, svcauth.NewProblem(
			svcauth.CodeUnauthenticated,
			"Address or password is wrong, or there is no such account. Check both; an administrator of "+
				"your organization can send you a link to set another password.",
		)
	}
	return s.signInAs(ctx, fits, "", r.IP)
}

// membersFor reads who may be meant. An address that is none is nobody's.
func (s *Service) membersFor(ctx context.Context, email, orgID string) ([]store.MemberRow, error) {
	email, err := validEmail("body.email", email)
	if err != nil {
		return nil, nil
	}
	if orgID == "" {
		return s.read().MembersByEmail(ctx, email, maxMemberships)
	}
	m, err := s.read().MemberByEmail(ctx, orgID, email)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return []store.MemberRow{m}, err
}

// withPassword returns the members with this address and those of them whose
// password it is. It hashes at least once.
func (s *Service) withPassword(
	ctx context.Context,
	a *passwordAttempt,
	r SignInRequest,
) (rows, fits []store.MemberRow, err error) {
	rows, err = s.membersFor(ctx, r.Email, r.OrganizationID)
	if err != nil {
		return nil, nil, err
	}
	if len(rows) == 0 {
		rows = []store.MemberRow{{}} // nobody: no password has its hash
	}
	for _, m := range rows {
		ok, err := a.check(ctx, r.Password, m.PasswordHash)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			fits = append(fits, m)
		}
	}
	return rows, fits, nil
}

// pause holds an answer back until its time has come, without a place among the
// requests in work.
func (s *Service) pause(ctx context.Context, began time.Time) {
	if s.wrongAnswer == 0 {
		return
	}
	limits.Release(ctx)
	rest := s.wrongAnswer - time.Since(began)%s.wrongAnswer
	select {
	case <-time.After(rest):
	case <-ctx.Done():
	}
}

// maxRefused bounds how many refusals are held back at once.
const maxRefused = 1000

// pauseRefused is pause for an attempt that is refused before anything is
// tried, so that a program that tries again at once does so twice a second.
func (s *Service) pauseRefused(ctx context.Context, began time.Time) {
	if s.refused.Take(struct{}{}, 1, false) {
		s.pause(ctx, began)
		s.refused.Give(struct{}{}, 1)
	}
}

// signInAs takes members that have proved who they are, by a provider of single
// sign-on or by their password. One is signed in, several must choose.
func (s *Service) signInAs(
	ctx context.Context,
	proved []store.MemberRow,
	provider string,
	ip netip.Addr,
) (Identity, error) {
	var active, entering []store.MemberRow
	for _, m := range proved {
		if !m.Suspended {
			active = append(active, m)
		}
	}
	if len(active) == 0 {
		s.noteRefusedSignIn(ctx, proved, ip, "The account is suspended.")
		return Identity{}, svcauth.NewProblem(
			svcauth.CodeForbidden,
			"Your account is suspended. An administrator of your organization can let you back in.",
		)
	}
	var in Identity
	for _, m := range active {
		org, err := s.read().Organization(ctx, m.OrgID)
		if err != nil {
			return Identity{}, access.Problem(err, svcauth.AuditTarget{Kind: "organization"})
		}
		if provider == "" && !org.PasswordMayEnter() {
			continue
		}
		entering = append(entering, m)
		in.Choices = append(in.Choices, Identity{
			MemberID:     m.ID,
			Epoch:        m.SessionEpoch,
			Provider:     provider,
			Organization: svcauth.Ref{ID: org.ID, Name: org.Name},
		})
	}
	switch len(entering) {
	case 0:
		s.noteRefusedSignIn(ctx, active, ip, "The organization takes no passwords (password_sign_in is off).")
		return Identity{}, s.noPasswords()
	case 1:
		return in.Choices[0], s.noteSignIn(ctx, entering[0], provider, ip)
	}
	return in, nil
}

// noPasswords returns the problem of a person whose organization takes no
// passwords, and who may know that.
func (s *Service) noPasswords() error {
	const off = "Your organization lets its members in by single sign-on only (password_sign_in is off). "
	if s.access.SingleSignOn() == "" {
		return svcauth.NewProblem(svcauth.CodeForbidden, off+
			"This server has no provider of single sign-on at the moment: its operator can set one up, or let "+
			"an administrator in by `svcauth bootstrap --recover-admin ADDRESS`.")
	}
	return svcauth.NewProblem(svcauth.CodeForbidden, off+"Choose Sign in with single sign-on on the sign-in page.")
}

// noteSignIn records that a member signed in, aside from what others change.
func (s *Service) noteSignIn(ctx context.Context, m store.MemberRow, provider string, ip netip.Addr) error {
	actor, _ := access.ActorFrom(s.asMember(ctx, m))
	if ip.IsValid() {
		actor.IP = ip.String()
	}
	t := access.Record{Now: s.now(), Actor: actor, Target: svcauth.AuditTarget{Kind: "member", ID: m.ID, Name: m.Email}}
	err := s.cfg.Store.WriteAside(ctx, func(q *store.Q) error {
		if err := q.NoteSignIn(ctx, m.OrgID, m.ID, provider, t.Now); err != nil {
			return err
		}
		return q.InsertAuditEvent(ctx, t.Event("member.sign_in", svcauth.OutcomeDone, ""))
	})
	return access.Problem(err, t.Target)
}

// noteRefusedSignIn tells the organizations of the members who were meant. Who
// tried is unknown, and an address of nobody leaves nothing.
func (s *Service) noteRefusedSignIn(ctx context.Context, meant []store.MemberRow, ip netip.Addr, reason string) {
	asked, _ := access.ActorFrom(ctx)
	unknown := access.Actor{Kind: svcauth.KindUnknown, Name: svcauth.KindUnknown, RequestID: asked.RequestID}
	if ip.IsValid() {
		unknown.IP = ip.String()
	}
	for _, m := range meant {
		unknown.OrgID = m.OrgID
		t := access.Record{
			Now:    s.now(),
			Actor:  unknown,
			Target: svcauth.AuditTarget{Kind: "member", ID: m.ID, Name: m.Email},
		}
		s.cfg.Audit.Note(t.Event("member.sign_in", svcauth.OutcomeRefused, reason))
	}
}

// MemberByVerifiedEmail lists the members that may sign in with an address that
// the provider of single sign-on has verified (email_verified): only those that
// were invited and are not suspended. Nobody is signed in yet, see
// [Service.SignInVerified].
func (s *Service) MemberByVerifiedEmail(ctx context.Context, email string) ([]Identity, error) {
	rows, err := s.membersFor(ctx, email, "")
	if err != nil {
		return nil, access.Problem(err, svcauth.AuditTarget{})
	}
	all, over := []Identity{}, false
	for _, m := range rows {
		if m.Suspended {
			continue
		}
		enters, err := s.pendingMayEnter(ctx, s.read(), m)
		if err != nil {
			return nil, access.Problem(err, svcauth.AuditTarget{Kind: "invitation"})
		}
		if !enters {
			over = true
			continue
		}
		org, err := s.read().Organization(ctx, m.OrgID)
		if err != nil {
			return nil, access.Problem(err, svcauth.AuditTarget{Kind: "organization"})
		}
		all = append(all, Identity{
			MemberID:     m.ID,
			Epoch:        m.SessionEpoch,
			Provider:     s.access.SingleSignOn(),
			Organization: svcauth.Ref{ID: org.ID, Name: org.Name},
		})
	}
	if over && len(all) == 0 {
		return nil, invitationOver(email)
	}
	return all, nil
}

// SignInVerified signs in as one of those that [Service.MemberByVerifiedEmail]
// returned for that same address, or [Service.SignIn] as Choices. Whatever has
// ended the member's sessions since then has ended this sign-in too. A member
// that was only invited becomes active by it, and the link is void.
func (s *Service) SignInVerified(ctx context.Context, email string, proved Identity, ip netip.Addr) (Identity, error) {
	m, err := s.provedMember(ctx, email, proved, ip)
	if err != nil {
		return Identity{}, access.Problem(err, svcauth.AuditTarget{})
	}
	if m.ActivatedAt == nil {
		if err := s.activate(ctx, m); err != nil {
			return Identity{}, err
		}
	}
	return s.signInAs(ctx, []store.MemberRow{m}, proved.Provider, ip)
}

// provedMember reads the member that an Identity is of. It refuses one that
// doesn't have the address any more, one that is suspended, and one whose
// sessions were ended since.
func (s *Service) provedMember(
	ctx context.Context,
	email string,
	proved Identity,
	ip netip.Addr,
) (m store.MemberRow, err error) {
	m, err = s.read().MemberOfSession(ctx, proved.MemberID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return m, notInvited()
	case err != nil:
		return m, err
	case m.Suspended:
		s.noteRefusedSignIn(ctx, []store.MemberRow{m}, ip, "The account is suspended.")
		return m, notInvited()
	case svcauth.EmailKey(m.Email) != svcauth.EmailKey(email):
		return m, notInvited()
	case m.SessionEpoch != proved.Epoch:
		s.noteRefusedSignIn(ctx, []store.MemberRow{m}, ip,
			"The sign-in was begun before the sessions of this account were ended.")
		return m, svcauth.NewProblem(svcauth.CodeUnauthenticated, "This sign-in has ended: the password was changed, "+
			"or you were signed out, since it began. Sign in again.")
	}
	return m, nil
}

func notInvited() error {
	return svcauth.NewProblem(svcauth.CodeUnauthenticated,
		"Nobody with this address was invited to this organization. Ask one of its administrators.")
}

// activate makes a member active that was only invited, and its link void.
func (s *Service) activate(ctx context.Context, m store.MemberRow) error {
	op := access.Operation{
		Action: "member.activate",
		Target: svcauth.AuditTarget{Kind: "member", ID: m.ID, Name: m.Email},
	}
	return s.access.Change(s.asMember(ctx, m), op, func(ctx context.Context, t *access.Tx) error {
		now, err := t.Member(ctx, m.OrgID, m.ID)
		if t.Silent = err == nil && now.ActivatedAt != nil; t.Silent || err != nil { // by another sign-in meanwhile
			return err
		}
		enters, err := s.pendingMayEnter(ctx, t.Q, m)
		if err != nil {
			return err
		}
		if !enters {
			return invitationOver(m.Email)
		}
		if err := t.ActivateMember(ctx, m.OrgID, m.ID, t.Now); err != nil {
			return err
		}
		return t.DeleteInvitations(ctx, m.OrgID, m.ID)
	})
}
