package clientauth

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// AssertionJWT is the client_assertion_type of a JWT (RFC 7523 §2.2).
const AssertionJWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	// MaxAssertion bounds an assertion, in bytes, before it is looked at.
	MaxAssertion = svcauth.MaxTokenSize
	// assertionSkew is how far the clock of whoever made an assertion may
	// differ from ours.
	assertionSkew      = 30 * time.Second
	maxAssertionClaims = 256
)

// Assertion is the JWT of a request (RFC 7523 §3), read and not verified. A
// claim that is absent is zero.
type Assertion struct {
	JWS      verify.JWS // its header has one of [AssertionAlgorithms], and a kid that may be empty
	Payload  []byte     // a JSON object in which no member is repeated
	Issuer   string     // iss
	Subject  string     // sub
	Audience []string   // aud: a string or an array
	JTI      string     // jti

	ExpiresAt, NotBefore, IssuedAt time.Time // exp, nbf, iat
}

// AssertionAlgorithms returns the algorithms that an assertion may be signed
// with, for the metadata: all of [jwk.AllAlgorithms], which are asymmetric (RFC
// 8725 §3.1). The slice must not be changed.
func AssertionAlgorithms() []string { return assertionAlgorithms }

var (
	assertionAlgorithms = jwk.AllAlgorithms()
	assertionClaims     = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}
)

// ReadAssertion returns the request's assertion, which it reads once. The error
// is for the caller, and for a log.
func (r *Request) ReadAssertion() (*Assertion, error) {
	if !r.assertionRead {
		r.assertion, r.assertionErr = parseAssertion(r.Assertion)
		r.assertionRead = true
	}
	return r.assertion, r.assertionErr
}

// ownAssertion reports whether a request has an assertion that a client of this
// server made itself (private_key_jwt): its iss has the form of a client_id. So
// does what can't be read. All other assertions are of somebody else (a
// federated credential).
func (r *Request) ownAssertion() bool {
	if r.Assertion == "" || r.AssertionType != AssertionJWT {
		return false
	}
	a, err := r.ReadAssertion()
	return err != nil || svcauth.ValidClientID(a.Issuer)
}

// assertionFault returns the refusal of one of client_assertion_type and
// client_assertion without the other (RFC 7521 §4.2), or nil.
func (r *Request) assertionFault() *oautherr.Error {
	switch {
	case r.Assertion == "" && r.AssertionType != "":
		return malformed("client_assertion_type is sent without client_assertion: send both, or neither")
	case r.Assertion != "" && r.AssertionType == "":
		return malformed("client_assertion is sent without client_assertion_type: send " + AssertionJWT + " as it")
	}
	return nil
}

// assertionTypes are the types that RFC 10070 lets the header of an assertion
// have: the explicit one, that of any JWT, and none. A token of another kind
// (RFC 8725 §3.11) is no assertion.
var assertionTypes = []string{"", "jwt", "client-authentication+jwt"}

var errKind = errors.New("the client_assertion is a token of another kind: " +
	"expected typ client-authentication+jwt or JWT in its header, or none")

// parseAssertion reads a JWT of one of [assertionTypes], or of the type JOSE,
// which a token of SPIFFE may have (JWT-SVID §2.3), but no client's own.
func parseAssertion(text string) (*Assertion, error) {
	const noun = "the client_assertion"
	if len(text) > MaxAssertion {
		return nil, fmt.Errorf("%s is longer than %d characters", noun, MaxAssertion)
	}
	jws, err := verify.ReadJWS(noun, text)
	switch {
	case err != nil:
		return nil, err
	case !jws.Typed(assertionTypes...) && !jws.Typed("jose"):
		return nil, errKind
	case !slices.Contains(assertionAlgorithms, jws.Alg):
		return nil, errors.New(noun + " is signed with a refused algorithm: expected one of the metadata's " +
			"token_endpoint_auth_signing_alg_values_supported")
	}
	a := &Assertion{JWS: jws}
	if a.Payload, err = jws.Payload(noun); err != nil {
		return nil, err
	}
	err = untrusted.Members(a.Payload, assertionClaims, maxAssertionClaims, func(name string, value []byte) error {
		if err := a.set(name, value); err != nil {
			return fmt.Errorf("its %s is wrong: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s can't be read: %w", noun, err)
	}
	return a, nil
}

// notBefore returns the moment that the assertion names of those before which
// it is refused: the later one of iat and nbf. It is zero if it names none.
func (a *Assertion) notBefore() time.Time {
	if a.NotBefore.After(a.IssuedAt) {
		return a.NotBefore
	}
	return a.IssuedAt
}

func (a *Assertion) set(name string, value []byte) (err error) {
	switch name {
	case "iss":
		a.Issuer, err = untrusted.String(value)
	case "sub":
		a.Subject, err = untrusted.String(value)
	case "aud":
		a.Audience, err = untrusted.Strings(value, true)
	case "exp":
		a.ExpiresAt, err = untrusted.NumericDate(value)
	case "nbf":
		a.NotBefore, err = untrusted.NumericDate(value)
	case "iat":
		a.IssuedAt, err = untrusted.NumericDate(value)
	case "jti":
		a.JTI, err = untrusted.String(value)
	}
	return err
}
