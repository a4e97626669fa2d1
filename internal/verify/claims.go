package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// Claims are the claims of a token: those of RFC 9068 §2.2, and svcauth's own.
// The fields are those of pkg/resourceserver's Principal, which users see.
//
// Issuer, Subject, ClientID, Audience, IssuedAt, ExpiresAt and JTI are never
// zero in a verified token.
type Claims struct {
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
	// token. Whoever shows it must prove to have it.
	BoundKey         string // jkt: the thumbprint of a key (RFC 9449 §6.1)
	BoundCertificate string // x5t#S256: the thumbprint of a certificate (RFC 8705 §3.1)
}

// Has reports whether the token has the privilege.
func (c *Claims) Has(privilege string) bool {
	for one := range strings.FieldsSeq(c.Scope) {
		if one == privilege {
			return true
		}
	}
	return false
}

// Privileges returns the privileges of the token, in its order.
func (c *Claims) Privileges() []string { return strings.Fields(c.Scope) }

var claimNames = []string{"iss", "sub", "client_id", "aud", "iat", "exp", "nbf", "jti", "scope", "scp", "permissions",
	"roles", "org_id", "epoch", "pol", "cred", "full", "cnf"}

const (
	maxClaims        = 256
	maxConfirmations = 8
)

// parseClaims reads the payload of a token. The error names the claim that is
// wrong, never its value.
func parseClaims(payload []byte) (*Claims, error) {
	c := new(Claims)
	var privileges claimedPrivileges
	err := untrusted.Members(payload, claimNames, maxClaims, func(name string, value []byte) error {
		if privileges.take(name, value) {
			return nil
		}
		if err := c.set(name, value); err != nil {
			return fmt.Errorf("claim %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if c.Scope, err = privileges.scope(); err != nil {
		return nil, err
	}
	return c, c.complete()
}

// claimedPrivileges are the claims that a token may carry its privileges in,
// as they stand there; nil: it is not there. The issuer writes one of them, as
// the API's profile says.
type claimedPrivileges struct{ inScope, inSCP, inPermissions []byte }

// take takes a claim if it is one of them.
func (p *claimedPrivileges) take(name string, value []byte) bool {
	switch name {
	case "scope":
		p.inScope = value
	case "scp":
		p.inSCP = value
	case "permissions":
		p.inPermissions = value
	default:
		return false
	}
	return true
}

// scope returns the privileges with spaces between: those in scope if that is
// there, else in scp, else in permissions. A token that has several carries
// those in the first alone.
func (p *claimedPrivileges) scope() (scope string, err error) {
	name, value := "permissions", p.inPermissions
	switch {
	case p.inScope != nil:
		if scope, err = untrusted.String(p.inScope); err != nil {
			err = fmt.Errorf("claim scope: %w", err)
		}
		return scope, err
	case p.inSCP != nil:
		name, value = "scp", p.inSCP
	case p.inPermissions == nil:
		return "", nil
	}
	if value[0] == '"' {
		scope, err = untrusted.String(value)
	} else {
		var list []string
		if list, err = untrusted.Strings(value, false); err == nil &&
			slices.ContainsFunc(list, func(one string) bool { return strings.ContainsFunc(one, unicode.IsSpace) }) {
			err = errors.New("a privilege has a space in it")
		}
		scope = strings.Join(list, " ")
	}
	if err != nil {
		return "", fmt.Errorf("claim %s: %w", name, err)
	}
	return scope, nil
}

func (c *Claims) set(name string, value []byte) (err error) {
	switch name {
	case "iss":
		c.Issuer, err = untrusted.String(value)
	case "sub":
		c.Subject, err = untrusted.String(value)
	case "client_id":
		c.ClientID, err = untrusted.String(value)
	case "aud":
		c.Audience, err = untrusted.Strings(value, true)
	case "iat":
		c.IssuedAt, err = untrusted.NumericDate(value)
	case "exp":
		c.ExpiresAt, err = untrusted.NumericDate(value)
	case "nbf":
		c.NotBefore, err = untrusted.NumericDate(value)
	case "jti":
		c.JTI, err = untrusted.String(value)
	case "roles":
		c.Roles, err = untrusted.Strings(value, false)
	case "org_id":
		c.OrgID, err = untrusted.String(value)
	case "epoch":
		c.Epoch, err = untrusted.Integer(value)
	case "pol":
		c.Policy, err = untrusted.Integer(value)
	case "cred":
		c.Cred, err = untrusted.String(value)
	case "full":
		c.Full = string(value) == "true" // another issuer may mean anything by this name
	case "cnf":
		err = c.bind(value)
	}
	return err
}

// Bound reports whether the token is bound, so that having it proves nothing.
func (c *Claims) Bound() bool { return c.BoundKey != "" || c.BoundCertificate != "" }

var confirmations = []string{"jkt", "x5t#S256"}

// bind reads what the token is bound to. A token that is bound in another way
// is refused: it is no bearer token, and nobody here can check what it is.
func (c *Claims) bind(raw []byte) error {
	err := untrusted.Members(raw, confirmations, maxConfirmations, func(name string, value []byte) (err error) {
		switch name {
		case "jkt":
			c.BoundKey, err = untrusted.String(value)
		case "x5t#S256":
			c.BoundCertificate, err = untrusted.String(value)
		}
		return err
	})
	if err == nil && !c.Bound() {
		err = errors.New("bound in a way that is not known here: expected jkt or x5t#S256")
	}
	return err
}

// complete checks that the claims that RFC 9068 §2.2 requires are present.
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
