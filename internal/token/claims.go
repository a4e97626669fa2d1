package token

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
)

// decisionClaims are the claims that are the same for each token of a client
// with the same decision: RFC 9068 §2.2, and our own.
type decisionClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	Audience any    `json:"aud"` // a string, or several in a []string (RFC 7519 §4.1.3)
	Scope    string `json:"scope,omitempty"`
	// Full reports that no scope was asked for: the token may hand over
	// whatever its holder holds.
	Full   bool     `json:"full,omitempty"`
	Roles  []string `json:"roles"`
	OrgID  string   `json:"org_id"`
	Epoch  int64    `json:"epoch"`
	Policy int64    `json:"pol"`
}

// tokenClaims are the claims that each token has for itself.
type tokenClaims struct {
	Credential string `json:"cred"`
	IssuedAt   int64  `json:"iat"` // seconds since 1970
	ExpiresAt  int64  `json:"exp"`
	JTI        string `json:"jti"`

	Confirmation *confirmation `json:"cnf,omitempty"` // nil: the token is not bound
}

// encode returns claims as JSON. It leaves <, > and & as they are: HTML is
// nowhere near, and they would take six bytes each.
func encode(claims any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(claims)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// join returns one object with the members of both. Neither may be empty.
func join(first, second []byte) []byte {
	both := make([]byte, 0, len(first)+len(second)-1)
	both = append(both, first[:len(first)-1]...)
	both = append(both, ',')
	return append(both, second[1:]...)
}

// tokenClaimsSize is how many bytes encoded tokenClaims have of a token that is
// not bound. Ids have one length each, and times have ten digits until the year
// 2286.
var tokenClaimsSize = sizeOf(nil)

// sizeOf returns that of the claims of a token that is bound.
func sizeOf(c *confirmation) int {
	out, _ := encode(tokenClaims{
		Credential: "sec_00000000000000000000000000", JTI: newJTI(), IssuedAt: 1e9, ExpiresAt: 1e9, Confirmation: c,
	})
	return len(out)
}

// newJTI returns a token's id: 128 random bits.
func newJTI() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	var text [22]byte
	base64.RawURLEncoding.Encode(text[:], raw[:])
	return string(text[:])
}
