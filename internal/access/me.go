package access

import (
	"context"
	"errors"
	"slices"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TokenActor returns the actor of a bearer token of this server, which must be
// verified already (audience: the issuer). The actor may do what the token
// carries. It may hand over no more than that, unless the token is full. The
// caller of TokenActor adds IP and RequestID. Problem:
// [svcauth.CodeUnauthenticated] if the principal is gone, suspended or
// disabled.
func (s *Service) TokenActor(ctx context.Context, p *verify.Claims) (Actor, error) {
	a := Actor{
		ID:         p.Subject,
		Kind:       svcauth.KindServiceAccount,
		OrgID:      p.OrgID,
		ClientID:   p.ClientID,
		Privileges: p.Privileges(),
		Full:       p.Full,
	}
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
		return Actor{}, svcauth.NewProblem(svcauth.CodeUnauthenticated,
			"Whoever this token was issued to is gone or was switched off. Ask for a new token.")
	}
	a.Name, a.Operator = row.Name, row.Operator
	return a, Problem(err, svcauth.AuditTarget{})
}

// Me returns who the caller is. Roles are those that it holds, Privileges those
// in force for this request.
func (s *Service) Me(ctx context.Context) (svcauth.Me, error) {
	a, err := Caller(ctx, "")
	if err != nil {
		return svcauth.Me{}, err
	}
	org, err := s.read().Organization(ctx, a.OrgID)
	if err != nil {
		return svcauth.Me{}, Problem(err, svcauth.AuditTarget{Kind: "organization"})
	}
	held, err := s.Effective(ctx, s.read(), a.OrgID, org.Operator, a.ID)
	if err != nil {
		return svcauth.Me{}, Problem(err, svcauth.AuditTarget{})
	}
	me := svcauth.Me{
		ID:           a.ID,
		Kind:         a.Kind,
		Name:         a.Name,
		ClientID:     a.ClientID,
		Organization: svcauth.Ref{ID: org.ID, Name: org.Name},
		Operator:     org.Operator,
		Roles:        append([]string{}, held.Roles...),
		Privileges:   append([]string{}, a.Privileges...),
	}
	slices.Sort(me.Privileges)
	return me, nil
}
