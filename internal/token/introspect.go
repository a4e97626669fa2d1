package token

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Introspector is the caller of introspection and of the revocation feed: a
// client that authenticated, or the bearer of a token (RFC 7662 §2.1).
type Introspector struct {
	ClientID   string
	OrgID      string
	Operator   bool // the organization is the operator's own
	Privileged bool // holds tokens:introspect

	// use uses up what the client has proven itself with; nil: nothing is.
	use func(context.Context) *oautherr.Error
}

// IntrospectorFromClient returns the introspector that an authenticated client
// is. What it has proven itself with is used up by [Service.Introspect].
func (s *Service) IntrospectorFromClient(
	ctx context.Context, client clientauth.Authentication,
) (Introspector, *oautherr.Error) {
	holder, err := s.proven(ctx, client)
	if err != nil {
		return Introspector{}, err
	}
	return Introspector{
		ClientID: client.ClientID, OrgID: client.OrgID, Operator: client.Operator,
		Privileged: holder.Holds(svcauth.TokensIntrospect), use: client.Use,
	}, nil
}

// IntrospectorFromBearer returns the introspector that the bearer of a token
// for this server is. admit, unless it is nil, is an [Admission] by who that
// would be; whom it refuses is returned too. The nonce is that of
// [Service.VerifyPresented].
func (s *Service) IntrospectorFromBearer(
	ctx context.Context, shown Presented, admit func(Introspector) (withdraw func(), refusal *oautherr.Error),
) (by Introspector, nonce string, refusal *oautherr.Error) {
	_, nonce, err := s.VerifyPresented(ctx, shown, func(p *verify.Claims) (withdraw func(), err error) {
		if by, refusal = s.bearer(ctx, p); refusal == nil && admit != nil {
			withdraw, refusal = admit(by)
		}
		if refusal != nil {
			return nil, refusal
		}
		return withdraw, nil
	})
	if err != nil && refusal == nil {
		return Introspector{}, "", RefusedPresented(err)
	}
	return by, nonce, refusal
}

// StillIntrospector is [Service.IntrospectorFromBearer] for a request that has
// passed that once and is still served: what a token is bound to is proven once
// for each request.
func (s *Service) StillIntrospector(ctx context.Context, token string) (Introspector, *oautherr.Error) {
	p, err := s.VerifyOwn(ctx, token)
	if err != nil {
		return Introspector{}, RefusedPresented(err)
	}
	return s.bearer(ctx, p)
}

func (s *Service) bearer(ctx context.Context, p *verify.Claims) (Introspector, *oautherr.Error) {
	client, err := s.cfg.Clients.Get(ctx, p.ClientID)
	if err != nil {
		return Introspector{}, oautherr.From(err)
	}
	return Introspector{
		ClientID: p.ClientID, OrgID: p.OrgID, Operator: client.Operator,
		Privileged: p.Has(svcauth.TokensIntrospect),
	}, nil
}

// VerifyOwn verifies a token for this server itself: its audience must be the
// issuer. It does not look at what the token is bound to: whoever sends one has
// authenticated only by [Service.VerifyPresented]. Errors are [*verify.Error].
func (s *Service) VerifyOwn(ctx context.Context, token string) (*verify.Claims, error) {
	return s.issuerAudience.Verify(ctx, token)
}

// isUnavailable reports whether a token can't be verified for a reason that is
// not its own.
func isUnavailable(err error) bool {
	var refusal *verify.Error
	return errors.As(err, &refusal) && refusal.Code == verify.CodeUnavailable
}

// describe returns what a verification's error tells the bearer.
func describe(err error) string {
	var refusal *verify.Error
	if errors.As(err, &refusal) {
		return refusal.Description
	}
	return "the token can't be accepted"
}

func (s *Service) knowsRevocations() *oautherr.Error {
	if !s.cfg.ChangeLog.Fresh() {
		return oautherr.Unavailable(errors.New(
			"this node has not read the change log for too long to say that a token is live"))
	}
	return nil
}

// Introspect returns the claims of a live token, RFC 7662 §2.2, and nil for one
// that is not live or that the introspector may not see. It may see its own
// tokens, and if it is privileged those of its organization. In the operator's
// organization that means everybody's.
func (s *Service) Introspect(ctx context.Context, by Introspector, token string) (*verify.Claims, *oautherr.Error) {
	if token == "" {
		return nil, oautherr.New(oautherr.CodeInvalidRequest, "no_token",
			"token is missing: expected the access token to introspect")
	}
	if err := s.knowsRevocations(); err != nil {
		return nil, err
	}
	if by.use != nil {
		if err := by.use(ctx); err != nil {
			return nil, err
		}
	}
	p, err := s.anyAudience.Verify(ctx, token)
	if isUnavailable(err) {
		return nil, oautherr.Unavailable(err)
	}
	if err != nil {
		return nil, nil
	}
	own := p.ClientID == by.ClientID
	privileged := by.Privileged && (by.Operator || p.OrgID == by.OrgID)
	if !own && !privileged {
		return nil, nil
	}
	return p, nil
}
