package resourceserver

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/verify"
)

// Principal is the caller of a request, as the claims of its verified token
// describe it (RFC 9068 §2.2, and svcauth's own). Issuer, Subject, ClientID,
// Audience, IssuedAt, ExpiresAt and JTI are never zero. All requests with the
// same token share one Principal: do not modify it.
type Principal struct {
	Issuer    string    // iss
	Subject   string    // sub: the principal's id
	ClientID  string    // client_id
	Audience  []string  // aud: a string or an array
	IssuedAt  time.Time // iat
	ExpiresAt time.Time // exp
	NotBefore time.Time // nbf; zero if absent
	JTI       string    // jti
	Scope     string    // scope, or else scp or permissions: privileges, separated by spaces
	Roles     []string  // roles: names

	// svcauth's own claims; zero in tokens of other issuers.
	OrgID  string // org_id: the organization
	Epoch  int64  // epoch: the client's epoch when the token was issued
	Policy int64  // pol: the organization's policy epoch when the token was issued
	Cred   string // cred: the id of the secret that obtained the token
	Full   bool   // full: the token was requested without a scope

	// What the token is bound to (cnf, RFC 7800 §3.1); empty: it is a bearer
	// token. [Verifier.Authenticate] has checked that the caller has it.
	BoundKey         string // jkt: the thumbprint of a key (RFC 9449 §6.1)
	BoundCertificate string // x5t#S256: the thumbprint of a certificate (RFC 8705 §3.1)
}

// Has reports whether the token has the privilege.
func (p *Principal) Has(privilege string) bool { return (*verify.Claims)(p).Has(privilege) }

// Privileges returns the privileges of the token, in its order. The caller may
// modify the slice.
func (p *Principal) Privileges() []string { return (*verify.Claims)(p).Privileges() }

type principalKey struct{}

// PrincipalFrom returns the principal that [Verifier.Require] or
// [Verifier.RequireAny] put into the request's context. It returns false if
// there is none.
func PrincipalFrom(ctx context.Context) (*Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(*Principal)
	return p, ok
}
