package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

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
	Scope     string    // scope: privileges, separated by spaces
	Roles     []string  // roles: names

	// svcauth's own claims; zero in tokens of other issuers.
	OrgID  string // org_id: the organization
	Epoch  int64  // epoch: the client's epoch when the token was issued
	Policy int64  // pol: the organization's policy epoch when the token was issued
	Cred   string // cred: the id of the secret that obtained the token
	Full   bool   // full: the token was requested without a scope
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

var claimNames = []string{"iss", "sub", "client_id", "aud", "iat", "exp", "nbf", "jti", "scope", "roles",
	"org_id", "epoch", "pol", "cred", "full"}

const maxClaims = 256

// parseClaims reads the payload of a token. The error names the claim that is
// wrong, never its value.
func parseClaims(payload []byte) (*Claims, error) {
	c := new(Claims)
	err := untrusted.Members(payload, claimNames, maxClaims, func(name string, value []byte) error {
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
		c.Issuer, err = untrusted.String(value)
	case "sub":
		c.Subject, err = untrusted.String(value)
	case "client_id":
		c.ClientID, err = untrusted.String(value)
	case "aud":
		c.Audience, err = stringList(value, true)
	case "iat":
		c.IssuedAt, err = numericDate(value)
	case "exp":
		c.ExpiresAt, err = numericDate(value)
	case "nbf":
		c.NotBefore, err = numericDate(value)
	case "jti":
		c.JTI, err = untrusted.String(value)
	case "scope":
		c.Scope, err = untrusted.String(value)
	case "roles":
		c.Roles, err = stringList(value, false)
	case "org_id":
		c.OrgID, err = untrusted.String(value)
	case "epoch":
		c.Epoch, err = integer(value)
	case "pol":
		c.Policy, err = integer(value)
	case "cred":
		c.Cred, err = untrusted.String(value)
	case "full":
		c.Full = string(value) == "true" // another issuer may mean anything by this name
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

// stringList reads an array of strings or, if single is set, also a single
// string.
func stringList(raw []byte, single bool) ([]string, error) {
	if single && raw[0] == '"' {
		s, err := untrusted.String(raw)
		return []string{s}, err
	}
	if raw[0] != '[' {
		return nil, errors.New("expected an array of strings")
	}
	var list []*string
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errors.New("expected an array of strings")
	}
	out := make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return nil, errors.New("expected an array of strings")
		}
		out[i] = *s
	}
	return out, nil
}

func integer(raw []byte) (int64, error) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, errors.New("expected an integer")
	}
	return n, nil
}

// numericDate reads a NumericDate (RFC 7519 §2): seconds, possibly with a
// fraction, which is dropped.
func numericDate(raw []byte) (time.Time, error) {
	n, err := integer(raw)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(raw), 64)
		if ferr != nil || math.IsNaN(f) || math.Abs(f) > maxSeconds {
			return time.Time{}, errors.New("expected seconds since 1970")
		}
		n = int64(math.Floor(f))
	}
	if n < 0 || n > maxSeconds {
		return time.Time{}, errors.New("expected seconds since 1970, not after the year 9999")
	}
	return time.Unix(n, 0), nil
}

const maxSeconds = 253402300799 // the last one of the year 9999
