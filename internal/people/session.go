package people

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// SessionActor makes an actor of a console session: of the member that signed
// in, as [Service.SignIn] or [Service.SignInVerified] said. It is called with
// each request. The caller adds IP and RequestID. Problem:
// [svcauth.CodeUnauthenticated] if the member is gone or suspended, its
// sessions were ended since, or the session began with a password and the
// organization takes none any more, and only then.
func (s *Service) SessionActor(
	ctx context.Context,
	in Identity,
) (a access.Actor, noun svcauth.Member, err error) {
	m, err := s.read().MemberOfSession(ctx, in.MemberID)
	if err == nil && (m.SessionEpoch != in.Epoch || m.Suspended || m.ActivatedAt == nil) {
		err = store.ErrNotFound
	}
	var org svcauth.Organization
	if err == nil {
		org, err = s.read().Organization(ctx, m.OrgID)
	}
	if err == nil && in.Provider == "" && !org.PasswordMayEnter() {
		err = store.ErrNotFound
	}
	if err == nil {
		a, err = s.actorOf(ctx, s.read(), m, org)
		a.SessionEpoch = in.Epoch
	}
	if err == nil {
		noun, err = s.member(ctx, s.read(), m)
	}
	if errors.Is(err, store.ErrNotFound) { // or it went meanwhile
		err = svcauth.NewProblem(svcauth.CodeUnauthenticated, "This session has ended. Sign in again.")
	}
	if err != nil {
		return access.Actor{}, svcauth.Member{}, access.Problem(err, svcauth.AuditTarget{})
	}
	return a, noun, nil
}

// actorOf makes an actor of a member with all that it holds now.
func (s *Service) actorOf(
	ctx context.Context,
	q *store.Q,
	m store.MemberRow,
	org svcauth.Organization,
) (access.Actor, error) {
	held, err := s.access.Effective(ctx, q, m.OrgID, org.Operator, m.ID)
	return access.Actor{
		ID: m.ID, Kind: svcauth.KindMember, Name: m.Email, OrgID: m.OrgID, OrgName: org.Name,
		Operator: org.Operator, Privileges: held.Privileges,
	}, err
}
