package token

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
)

// claims are those of a token: RFC 9068 §2.2, and our own. All but the last
// four are the same for each token of a client with the same decision.
type claims struct {
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

	Credential string `json:"cred"`
	IssuedAt   int64  `json:"iat"` // seconds since 1970
	ExpiresAt  int64  `json:"exp"`
	JTI        string `json:"jti"`
}

// encode returns the claims as JSON. It leaves <, > and & as they are: HTML is
// nowhere near, and they would take six bytes each.
func (c *claims) encode() ([]byte, error) {
	const rest = 400 // what the others take, about
	out := bytes.NewBuffer(make([]byte, 0, rest+len(c.Scope)))
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(c)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// size returns how many bytes the claims of each token will have. Ids have one
// length each, and times have ten digits until the year 2286.
func (c claims) size() int {
	c.Credential, c.JTI = "sec_00000000000000000000000000", newJTI()
	c.IssuedAt, c.ExpiresAt = 1e9, 1e9
	payload, _ := c.encode()
	return len(payload)
}

// newJTI returns a token's id: 128 random bits.
func newJTI() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	var text [22]byte
	base64.RawURLEncoding.Encode(text[:], raw[:])
	return string(text[:])
}
