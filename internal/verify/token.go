package verify

import (
	"crypto"
	"fmt"
	"slices"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const maxTokenSize = svcauth.MaxTokenSize

// The types of access tokens, as they stand in typ.
const (
	TypAccessToken = "at+jwt" // RFC 9068 §2.1
	TypJWT         = "JWT"    // RFC 7519 §5.1: as some gateways want them
)

var algorithms = []string{jwk.ES256, jwk.RS256, jwk.EdDSA}

// split takes a token apart, and checks typ (RFC 9068 §4) and alg (RFC 8725
// §3.1). jwt says that typ may be JWT, too.
func split(token string, jwt bool) (JWS, *Error) {
	if len(token) > maxTokenSize {
		return JWS{}, tooLong()
	}
	t, err := ReadJWS("the token", token)
	switch {
	case err != nil:
		return JWS{}, invalidToken(err.Error())
	case jwt && !t.Typed("at+jwt", "jwt"):
		return JWS{}, invalidToken("the token is no access token: expected typ at+jwt or JWT in its header")
	case !jwt && !t.Typed("at+jwt"):
		return JWS{}, invalidToken("the token is no access token: expected typ at+jwt in its header")
	case !slices.Contains(algorithms, t.Alg):
		return JWS{}, invalidToken("the token is signed with a refused algorithm: expected ES256, RS256 or EdDSA")
	}
	return t, nil
}

// signedBy checks the signature with the one algorithm that the key is for.
func signedBy(t *JWS, alg string, key crypto.PublicKey) *Error {
	if t.Alg != alg {
		return invalidToken("the token's algorithm is not the one of its key")
	}
	if !t.SignedBy(key) {
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
	t, refusal := split(token, true)
	if refusal != nil {
		return nil, refusal
	}
	payload, err := t.Payload("the token")
	if err != nil {
		return nil, invalidToken(err.Error())
	}
	return parseClaims(payload)
}
