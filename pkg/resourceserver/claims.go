package resourceserver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Claims are what a token says: those of RFC 9068 §2.2, and svcauth's own.
// Issuer, Subject, ClientID, Audience, IssuedAt, ExpiresAt and JTI are never zero
// in a verified token.
type Claims struct {
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

// Principal is who makes a request: the claims of a verified token. All requests
// with that token share it: do not change what it holds.
type Principal struct {
	Claims
	privileges []string
}

// Has reports whether the token carries the privilege.
func (p *Principal) Has(privilege string) bool { return slices.Contains(p.privileges, privilege) }

// Privileges returns the privileges that the token carries, in its order. The
// slice is the caller's.
func (p *Principal) Privileges() []string { return slices.Clone(p.privileges) }

type principalKey struct{}

// PrincipalFrom returns the principal that [Verifier.Require] or
// [Verifier.RequireAny] put into the request's context.
func PrincipalFrom(ctx context.Context) (*Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(*Principal)
	return p, ok
}

var claimNames = []string{"iss", "sub", "client_id", "aud", "iat", "exp", "nbf", "jti", "scope", "roles", "org_id", "epoch", "pol", "cred", "full"}

const maxClaims = 256

// parseClaims reads the payload of a token. The error says which claim is wrong,
// never what it holds.
func parseClaims(payload []byte) (*Claims, error) {
	c := new(Claims)
	err := members(payload, claimNames, maxClaims, func(name string, value []byte) error {
		if err := c.set(name, value); err != nil {
			return fmt.Errorf("claim %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, c.complete()
}

func (c *Claims) set(name string, value []byte) (err error) {
	switch name {
	case "iss":
		c.Issuer, err = text(value)
	case "sub":
		c.Subject, err = text(value)
	case "client_id":
		c.ClientID, err = text(value)
	case "aud":
		c.Audience, err = texts(value, true)
	case "iat":
		c.IssuedAt, err = moment(value)
	case "exp":
		c.ExpiresAt, err = moment(value)
	case "nbf":
		c.NotBefore, err = moment(value)
	case "jti":
		c.JTI, err = text(value)
	case "scope":
		c.Scope, err = text(value)
	case "roles":
		c.Roles, err = texts(value, false)
	case "org_id":
		c.OrgID, err = text(value)
	case "epoch":
		c.Epoch, err = integer(value)
	case "pol":
		c.Policy, err = integer(value)
	case "cred":
		c.Cred, err = text(value)
	case "full":
		c.Full = string(value) == "true" // another issuer may mean anything by this name
	}
	return err
}

// complete checks that the claims that RFC 9068 §2.2 requires are there.
func (c *Claims) complete() error {
	for _, required := range []struct {
		name    string
		missing bool
	}{
		{"iss", c.Issuer == ""}, {"exp", c.ExpiresAt.IsZero()}, {"aud", len(c.Audience) == 0}, {"sub", c.Subject == ""},
		{"client_id", c.ClientID == ""}, {"iat", c.IssuedAt.IsZero()}, {"jti", c.JTI == ""},
	} {
		if required.missing {
			return fmt.Errorf("claim %s is missing", required.name)
		}
	}
	return nil
}

// NewPrincipal returns a principal with the given claims. The caller must know
// that they are authentic.
func NewPrincipal(c *Claims) *Principal {
	return &Principal{Claims: *c, privileges: strings.Fields(c.Scope)}
}
