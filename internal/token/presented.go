package token

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/verify"
)

// Presented is how a request to this server shows an access token of it, as
// RFC 6750 §2.1 or RFC 9449 §7.1 says.
type Presented struct {
	Scheme string // of Authorization; empty: it has none, or another than Bearer and DPoP
	Token  string // never logged; may be empty

	request *http.Request
	method  string
	proxied bool
}

// Present reads how a request shows its token. method is the one that the
// caller sent, and proxied says that the connection is a trusted proxy's. It
// reports false if there are several headers, another scheme or no token.
func Present(r *http.Request, method string, proxied bool) (p Presented, ok bool) {
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return Presented{}, false
	}
	scheme, text, _ := strings.Cut(headers[0], " ")
	switch {
	case strings.EqualFold(scheme, typeBearer):
		p.Scheme = typeBearer
	case strings.EqualFold(scheme, dpop.Scheme):
		p.Scheme = dpop.Scheme
	default:
		return Presented{}, false
	}
	p.Token, p.request, p.method, p.proxied = strings.TrimSpace(text), r, method, proxied
	return p, len(headers) == 1 && p.Token != ""
}

// Admission decides, by the claims of a good token, whether the call is one too
// many. Whether its bearer has what the token is bound to is not known yet: if
// it has not, withdraw, unless it is nil, takes the call out of the count, so
// that nobody uses up what another one may do.
type Admission func(*verify.Claims) (withdraw func(), err error)

// VerifyPresented verifies a token that was sent to this server itself, and
// that its bearer has what it is bound to, for which a proof is used up. Before
// a proof is looked at it asks admit, unless that is nil, and returns its error
// as it is. The nonce, if it is not empty, is to be sent beside the answer.
// Other errors are [*verify.Error].
func (s *Service) VerifyPresented(
	ctx context.Context, p Presented, admit Admission,
) (c *verify.Claims, nonce string, err error) {
	c, err = s.issuerAudience.Verify(ctx, p.Token)
	if err != nil {
		return nil, "", ofScheme(err, p.Scheme)
	}
	var withdraw func()
	if admit != nil {
		if withdraw, err = admit(c); err != nil {
			return nil, "", err
		}
	}
	nonce, err = s.proofs.Bound(ctx, c, dpop.Presented{
		Scheme: p.Scheme, Token: p.Token,
		Request: func() dpop.Request {
			return dpop.Request{
				Proofs: p.request.Header[dpop.Header], Method: p.method,
				Bases: s.bases, Path: p.request.URL.EscapedPath(),
			}
		},
		Certificate: func() *x509.Certificate {
			shown, refusal := s.cfg.Certificates.Read(p.request, p.proxied)
			if refusal != nil || shown.Unverified {
				return nil
			}
			return shown.Leaf
		},
	})
	if err != nil {
		if withdraw != nil {
			withdraw()
		}
		return nil, "", err
	}
	return c, nonce, nil
}

// ofScheme has the challenge of a refused token name the scheme that it came
// with.
func ofScheme(err error, scheme string) error {
	var refusal *verify.Error
	if scheme != dpop.Scheme || !errors.As(err, &refusal) {
		return err
	}
	own := *refusal
	own.Scheme = scheme
	return &own
}

// RefusedPresented returns the answer to a token that [Service.VerifyPresented]
// has refused.
func RefusedPresented(err error) *oautherr.Error {
	var own *oautherr.Error
	if errors.As(err, &own) {
		return own
	}
	var refusal *verify.Error
	if !errors.As(err, &refusal) || refusal.Code == verify.CodeUnavailable {
		return oautherr.Unavailable(err)
	}
	e := oautherr.New(refusal.Code, "bearer", "%s", refusal.Description)
	e.Status, e.Nonce = refusal.Status, refusal.Nonce
	e.Challenge = oautherr.Challenge(refusal.Scheme, refusal.Code, refusal.Description, "")
	return e
}
