package verify

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	maxTokenSize     = svcauth.MaxTokenSize
	maxHeaderMembers = 16
)

var (
	strict      = base64.RawURLEncoding.Strict() // RFC 4648 §3.5: one spelling for one value
	headerNames = []string{"alg", "kid", "typ", "crit"}
	algorithms  = []string{jwk.ES256, jwk.RS256, jwk.EdDSA}
)

// jws is a compact JWS in its parts, none of them verified.
type jws struct {
	alg, kid  string
	signed    string // what the signature covers
	payload   string // still encoded
	signature []byte
}

// split takes a token apart and checks what can be checked without a key. A
// token must have only one valid text, so that no second one passes: base64url
// and two dots, no line breaks, no padding, no stray bits.
func split(token string) (jws, *Error) {
	if len(token) > maxTokenSize {
		return jws{}, tooLong()
	}
	header, rest, ok := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || !isBase64URL(header) || !isBase64URL(payload) || !isBase64URL(signature) {
		return jws{}, invalidToken("the token is malformed: expected a JWT, three parts of base64url with dots between")
	}
	t := jws{signed: token[:len(header)+1+len(payload)], payload: payload}
	raw, err := strict.DecodeString(header)
	if err != nil {
		return jws{}, invalidToken("the token's header is not strict base64url")
	}
	if t.signature, err = strict.DecodeString(signature); err != nil {
		return jws{}, invalidToken("the token's signature is not strict base64url")
	}
	return t, t.readHeader(raw)
}

func isBase64URL(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}

// readHeader checks the JOSE header: typ (RFC 9068 §4), crit (RFC 7515 §4.1.11)
// and alg (RFC 8725 §3.1).
func (t *jws) readHeader(raw []byte) *Error {
	typ, critical := "", false
	err := untrusted.Members(raw, headerNames, maxHeaderMembers, func(name string, value []byte) (err error) {
		switch name {
		case "alg":
			t.alg, err = untrusted.String(value)
		case "kid":
			t.kid, err = untrusted.String(value)
		case "typ":
			typ, err = untrusted.String(value)
		case "crit", "b64":
			critical = true
		}
		return err
	})
	switch {
	case err != nil:
		return invalidToken("the token's header can't be read: expected a JSON object with alg, kid and typ, each once")
	case critical:
		return invalidToken("the token's header demands an extension (crit) that is not understood here")
	case !strings.EqualFold(typ, "at+jwt") && !strings.EqualFold(typ, "application/at+jwt"):
		return invalidToken("the token is no access token: expected typ at+jwt in its header")
	case !slices.Contains(algorithms, t.alg):
		return invalidToken("the token is signed with a refused algorithm: expected ES256, RS256 or EdDSA")
	case len(t.kid) > jwk.MaxKidSize:
		return invalidToken("the token's kid is too long")
	}
	return nil
}

// signedBy checks the signature with the one algorithm that the key is for.
func (t *jws) signedBy(alg string, key crypto.PublicKey) *Error {
	if t.alg != alg {
		return invalidToken("the token's algorithm is not the one of its key")
	}
	method := jwt.GetSigningMethod(alg)
	if method == nil || !slices.Contains(algorithms, alg) || method.Verify(t.signed, t.signature, key) != nil {
		return invalidToken("the token's signature is wrong")
	}
	return nil
}

func tooLong() *Error {
	return invalidToken(fmt.Sprintf(
		"the token is longer than %d characters; ask for fewer privileges, by scope or resource",
		maxTokenSize,
	))
}

// Unverified returns the claims of a token without checking who signed it. It
// is for showing a token to its holder, never for granting access.
func Unverified(token string) (*Claims, error) {
	t, refusal := split(token)
	if refusal != nil {
		return nil, refusal
	}
	payload, err := strict.DecodeString(t.payload)
	if err != nil {
		return nil, invalidToken("the token's claims are not strict base64url")
	}
	return parseClaims(payload)
}
