package access

import (
	"context"
	"errors"
	"slices"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TokenActor makes an actor of a bearer token of this server that the caller has verified (audience: the issuer). What it may do is what the token
// carries; what it may hand over, too, unless the token is full. The face adds IP and RequestID. Problem: [svcauth.CodeUnauthenticated] where the principal is gone, suspended or disabled.
func (s *Service) TokenActor(ctx context.Context, p *resourceserver.Principal) (Actor, error) {
	a := Actor{ID: p.Subject, Kind: svcauth.KindServiceAccount, OrgID: p.OrgID, ClientID: p.ClientID, Privileges: p.Privileges(), Full: p.Full}
	var row store.PrincipalRow
	var err error
	switch {
	case svcauth.ValidID(svcauth.PrefixMember, p.Subject):
		a.Kind = svcauth.KindMember
		row, err = s.read().MemberPrincipal(ctx, p.OrgID, p.Subject, p.ClientID)
	case svcauth.ValidID(svcauth.PrefixServiceAccount, p.Subject) && p.Subject == p.ClientID:
		row, err = s.read().AccountPrincipal(ctx, p.OrgID, p.Subject)
	default:
		err = store.ErrNotFound
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Off {
		return Actor{}, svcauth.NewProblem(svcauth.CodeUnauthenticated, "Whoever this token was issued to is gone or was switched off. Ask for a new token.")
	}
	a.Name, a.Operator = row.Name, row.Operator
	return a, s.problem(err, svcauth.AuditTarget{})
}

// SessionActor makes an actor of a console session: who signed in, and the epoch
// that [Service.SignIn] gave. It is asked with each request. The face adds IP and
// RequestID. Problem: [svcauth.CodeUnauthenticated] if the member is gone or
// suspended, or its sessions were ended since, and only then.
func (s *Service) SessionActor(ctx context.Context, memberID string, epoch int64) (a Actor, noun svcauth.Member, err error) {
	m, err := s.read().MemberOfSession(ctx, memberID)
	if err == nil && (m.SessionEpoch != epoch || m.Suspended || m.ActivatedAt == nil) {
		err = store.ErrNotFound
	}
	if err == nil {
		a, err = s.actorOf(ctx, s.read(), m)
		a.SessionEpoch = epoch
	}
	if err == nil {
		noun, err = s.member(ctx, s.read(), m)
	}
	if errors.Is(err, store.ErrNotFound) { // or it went meanwhile
		err = svcauth.NewProblem(svcauth.CodeUnauthenticated, "This session has ended. Sign in again.")
	}
	if err != nil {
		return Actor{}, svcauth.Member{}, s.problem(err, svcauth.AuditTarget{})
	}
	return a, noun, nil
}

// actorOf makes an actor of a member with all that it holds now.
func (s *Service) actorOf(ctx context.Context, q *store.Q, m store.MemberRow) (Actor, error) {
	org, err := q.Organization(ctx, m.OrgID)
	if err != nil {
		return Actor{}, err
	}
	held, err := s.holdings(ctx, q, m.OrgID, org.Operator, m.ID)
	return Actor{ID: m.ID, Kind: svcauth.KindMember, Name: m.Email, OrgID: m.OrgID, OrgName: org.Name, Operator: org.Operator, Privileges: held.Privileges}, err
}

// Me says who the caller is: Roles are those that it holds, Privileges those in force for this request.
func (s *Service) Me(ctx context.Context) (svcauth.Me, error) {
	a, err := caller(ctx, "")
	if err != nil {
		return svcauth.Me{}, err
	}
	org, err := s.read().Organization(ctx, a.OrgID)
	if err != nil {
		return svcauth.Me{}, s.problem(err, svcauth.AuditTarget{Kind: "organization"})
	}
	held, err := s.holdings(ctx, s.read(), a.OrgID, org.Operator, a.ID)
	if err != nil {
		return svcauth.Me{}, s.problem(err, svcauth.AuditTarget{})
	}
	me := svcauth.Me{ID: a.ID, Kind: a.Kind, Name: a.Name, ClientID: a.ClientID, Organization: svcauth.Ref{ID: org.ID, Name: org.Name}, Operator: org.Operator,
		Roles: append([]string{}, held.Roles...), Privileges: append([]string{}, a.Privileges...)}
	slices.Sort(me.Privileges)
	return me, nil
}
