package federation

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/internal/verify"
)

// Token is a token of another issuer, read and not verified.
type Token struct {
	JWS *verify.JWS // nil: only the claims are known

	Issuer, Subject, JTI           string // empty: there is none
	Audience                       []string
	ExpiresAt, IssuedAt, NotBefore time.Time // zero: there is none

	claims map[string]json.RawMessage
}

// The bounds of a token's claims.
const (
	maxClaims  = 256
	maxNested  = 100 // members of a nested object
	maxPointer = 8   // names in a JSON pointer
)

// registered are the claims of RFC 7519 §4.1, which have fields and rules of
// their own.
var registered = []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti"}

// Read reads the claims of a token, whose header and signature are in jws.
// jws is nil for claims alone. An error is for the sender.
func Read(jws *verify.JWS, claims []byte) (*Token, error) {
	t := &Token{JWS: jws, claims: map[string]json.RawMessage{}}
	err := untrusted.Members(claims, registered, maxClaims, func(name string, value []byte) error {
		if err := t.set(name, value); err != nil {
			return errors.New("the claim " + name + " can't be read: " + err.Error())
		}
		t.claims[name] = value
		return nil
	})
	if err != nil {
		return nil, errors.New("the claims can't be accepted: " + untrusted.Quotable(err.Error(), maxShown))
	}
	return t, nil
}

// ReadAssertion reads a whole token. An error is for the sender.
func ReadAssertion(noun, text string) (*Token, error) {
	jws, err := verify.ReadJWS(noun, text)
	if err != nil {
		return nil, err
	}
	payload, err := jws.Payload(noun)
	if err != nil {
		return nil, err
	}
	return Read(&jws, payload)
}

func (t *Token) set(name string, value []byte) (err error) {
	switch name {
	case "iss":
		t.Issuer, err = untrusted.String(value)
	case "sub":
		t.Subject, err = untrusted.String(value)
	case "jti":
		t.JTI, err = untrusted.String(value)
	case "aud":
		t.Audience, err = untrusted.Strings(value, true)
	case "exp":
		t.ExpiresAt, err = untrusted.NumericDate(value)
	case "iat":
		t.IssuedAt, err = untrusted.NumericDate(value)
	case "nbf":
		t.NotBefore, err = untrusted.NumericDate(value)
	}
	return err
}

// TrustDomain returns the SPIFFE trust domain of the subject, with its scheme,
// or nothing.
func (t *Token) TrustDomain() string {
	rest, ok := strings.CutPrefix(t.Subject, spiffeScheme)
	domain, path, separated := strings.Cut(rest, "/")
	if !ok || !separated || domain == "" || path == "" {
		return ""
	}
	return spiffeScheme + domain
}

// sole returns the only audience (an array of one is as good as a string, RFC
// 7519 §4.1.3), or nothing.
func (t *Token) sole() string {
	if len(t.Audience) != 1 {
		return ""
	}
	return t.Audience[0]
}

// Organization returns the organization that the only audience names, or
// nothing.
func (t *Token) Organization(own string) string {
	orgID, _ := OrganizationOf(own, t.sole())
	return orgID
}

// text returns a claim that is a string. found says what there is instead: in
// words.
func (t *Token) text(name string) (text string, found string) {
	raw, ok := t.claims[name]
	if path, isPointer := pointer(name); isPointer {
		raw, ok = t.nested(path)
	}
	if !ok {
		return "", "no such claim"
	}
	text, err := untrusted.String(raw)
	if err != nil {
		return "", "a claim that is no text: " + shown(string(raw))
	}
	return text, ""
}

// pointer returns the names of a JSON pointer (RFC 6901 §4).
func pointer(name string) (path []string, ok bool) {
	rest, ok := strings.CutPrefix(name, "/")
	if !ok {
		return nil, false
	}
	path = strings.Split(rest, "/")
	for i := range path {
		path[i] = strings.ReplaceAll(strings.ReplaceAll(path[i], "~1", "/"), "~0", "~")
	}
	return path, true
}

// nested returns the value that a JSON pointer leads to through objects. An
// object that two readers could understand differently has none.
func (t *Token) nested(path []string) (value json.RawMessage, ok bool) {
	value, ok = t.claims[path[0]]
	for _, name := range path[1:] {
		var next json.RawMessage
		if !ok || untrusted.Members(value, nil, maxNested, func(member string, of []byte) error {
			if member == name {
				next = of
			}
			return nil
		}) != nil {
			return nil, false
		}
		value, ok = next, next != nil
	}
	return value, ok
}

// maxShown bounds what is shown of a value, in bytes.
const maxShown = 256

// shown returns a value of somebody else's as part of a line.
func shown(text string) string {
	return untrusted.Cut(untrusted.Line(untrusted.RedactSecrets(text)), maxShown)
}
