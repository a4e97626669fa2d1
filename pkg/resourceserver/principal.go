package resourceserver

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/verify"
)

// Principal is who makes a request: what its verified token says, by the claims
// of RFC 9068 §2.2 and svcauth's own. Issuer, Subject, ClientID, Audience,
// IssuedAt, ExpiresAt and JTI are never zero. All requests with the same token
// share it: do not change what it holds.
type Principal struct {
	Issuer    string    // iss
	Subject   string    // sub: the principal's id
	ClientID  string    // client_id
	Audience  []string  // aud: a string or an array
	IssuedAt  time.Time // iat
	ExpiresAt time.Time // exp
	NotBefore time.Time // nbf; zero if absent
	JTI       string    // jti
	Scope     string    // scope: privileges, separated by spaces
	Roles     []string  // roles: names

	// svcauth's own; zero in tokens of other issuers.
	OrgID  string // org_id: the organization
	Epoch  int64  // epoch: of the client, when the token was issued
	Policy int64  // pol: the organization's policy epoch, when the token was issued
	Cred   string // cred: the id of the secret that obtained the token
	Full   bool   // full: no scope was asked for
}

// Has reports whether the token carries the privilege.
func (p *Principal) Has(privilege string) bool { return (*verify.Claims)(p).Has(privilege) }

// Privileges returns the privileges that the token carries, in its order. The
// slice is the caller's.
func (p *Principal) Privileges() []string { return (*verify.Claims)(p).Privileges() }

type principalKey struct{}

// PrincipalFrom returns the principal that [Verifier.Require] or
// [Verifier.RequireAny] put into the request's context.
func PrincipalFrom(ctx context.Context) (*Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(*Principal)
	return p, ok
}
