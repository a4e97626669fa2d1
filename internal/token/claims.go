package token

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/svcauth/svcauth/internal/profile"
)

// decisionClaims are the claims that are the same for each token of a client
// with the same decision: RFC 9068 §2.2, and our own.
type decisionClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	Audience any    `json:"aud"` // a string, or several in a []string (RFC 7519 §4.1.3)

	// The privileges, in the one that the API's profile says.
	Scope       string   `json:"scope,omitempty"`
	SCP         []string `json:"scp,omitempty"`
	Permissions []string `json:"permissions,omitempty"`

	// Full reports that no scope was asked for: the token may hand over
	// whatever its holder holds.
	Full   bool     `json:"full,omitempty"`
	Roles  []string `json:"roles"`
	OrgID  string   `json:"org_id"`
	Epoch  int64    `json:"epoch"`
	Policy int64    `json:"pol"`
}

// carry writes the privileges, which are separated by spaces in scope, into
// the claim that a profile names.
func (c *decisionClaims) carry(claim, scope string) {
	switch claim {
	case profile.ClaimSCP:
		c.SCP = strings.Fields(scope)
	case profile.ClaimPermissions:
		c.Permissions = strings.Fields(scope)
	default:
		c.Scope = scope
	}
}

// encode returns the claims with more of them behind, which may be nil.
func (c *decisionClaims) encode(more []byte) []byte {
	encoded := mustEncode(c)
	if more == nil {
		return encoded
	}
	return join(encoded, more)
}

// audience returns aud in a profile's form (RFC 7519 §4.1.3).
func (p *apiProfile) audience(apis []string) any {
	if len(apis) == 1 && p.AudienceForm != profile.AudienceArray {
		return apis[0]
	}
	return apis
}

// moreClaims returns the claims that the profile writes and, of those that are
// the client's own, the listed ones; nil if there are none. What the server
// writes itself is left out, though no catalogue and no account may have it.
func (h *holder) moreClaims(p *apiProfile, listed []string) []byte {
	more := map[string]any{}
	if len(listed) > 0 && h.Claims != "" {
		var own map[string]json.RawMessage
		if json.Unmarshal([]byte(h.Claims), &own) == nil {
			for _, name := range listed {
				if value, ok := own[name]; ok && !profile.Reserved(name) {
					more[name] = value
				}
			}
		}
	}
	values := profile.Values{ClientID: h.ClientID, Subject: h.Subject, OrgID: h.OrgID, Name: h.Name}
	for name, value := range p.Claims {
		if !profile.Reserved(name) {
			more[name] = profile.Fill(value, values)
		}
	}
	if len(more) == 0 {
		return nil
	}
	return mustEncode(more)
}

// tokenClaims are the claims that each token has for itself.
type tokenClaims struct {
	Credential string `json:"cred"`
	IssuedAt   int64  `json:"iat"` // seconds since 1970
	ExpiresAt  int64  `json:"exp"`
	JTI        string `json:"jti"`

	Confirmation *confirmation `json:"cnf,omitempty"` // nil: the token is not bound
}

// mustEncode encodes what always has a form in JSON: texts, integers, a bool,
// and what came from JSON.
func mustEncode(claims any) []byte {
	encoded, err := encode(claims)
	if err != nil {
		panic(err)
	}
	return encoded
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
