package token

import (
	"context"
	"errors"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Asker is who introspects: a client that authenticated, or the bearer of a token.
type Asker struct {
	ClientID   string
	OrgID      string
	Operator   bool // the organization is the operator's own
	Privileged bool // holds tokens:introspect
}

// AskerOf makes an asker of an authenticated client.
func AskerOf(c Authenticated) Asker {
	return Asker{ClientID: c.ClientID, OrgID: c.OrgID, Operator: c.Operator, Privileged: c.Holds(svcauth.TokensIntrospect)}
}

// VerifyOwn verifies a bearer token that was sent to this server itself: its audience must be the issuer. Errors are [*resourceserver.Error].
func (s *Service) VerifyOwn(ctx context.Context, token string) (*resourceserver.Principal, error) {
	return s.own.Verify(ctx, token)
}

// AskerFromBearer makes an asker of a bearer token for this server.
func (s *Service) AskerFromBearer(ctx context.Context, token string) (Asker, *Error) {
	p, err := s.own.Verify(ctx, token)
	if err != nil {
		var refusal *resourceserver.Error
		if errors.As(err, &refusal) && refusal.Code == resourceserver.CodeUnavailable {
			return Asker{}, unavailable(err)
		}
		return Asker{}, Refuse(CodeInvalidToken, "bearer", "%s", describe(err))
	}
	client, refusal := s.account(ctx, p.ClientID)
	if refusal != nil {
		return Asker{}, storeError(refusal)
	}
	return Asker{ClientID: p.ClientID, OrgID: p.OrgID, Operator: client.Operator, Privileged: p.Has(svcauth.TokensIntrospect)}, nil
}

func describe(err error) string {
	var refusal *resourceserver.Error
	if errors.As(err, &refusal) {
		return refusal.Description
	}
	return "the token can't be accepted"
}

func (s *Service) knowsRevocations() *Error {
	if !s.cfg.ChangeLog.Fresh() {
		return unavailable(errors.New("this node has not read the change log for too long to say that a token is live"))
	}
	return nil
}

// Introspect says what a token is worth, RFC 7662 §2.2: its claims where it is live and the asker may know, else nil. It answers for the asker's
// own tokens, and to a privileged one for those of its organization; in the operator's organization, for everybody's.
func (s *Service) Introspect(ctx context.Context, asker Asker, token string) (*resourceserver.Principal, *Error) {
	if token == "" {
		return nil, Refuse(CodeInvalidRequest, "no_token", "token is missing: expected the access token to introspect")
	}
	if err := s.knowsRevocations(); err != nil {
		return nil, err
	}
	p, err := s.any.Verify(ctx, token)
	if err != nil {
		var refusal *resourceserver.Error
		if errors.As(err, &refusal) && refusal.Code == resourceserver.CodeUnavailable {
			return nil, unavailable(err)
		}
		return nil, nil
	}
	own := p.ClientID == asker.ClientID
	privileged := asker.Privileged && (asker.Operator || p.OrgID == asker.OrgID)
	if !own && !privileged {
		return nil, nil
	}
	return p, nil
}
