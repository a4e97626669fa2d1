package token

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"github.com/svcauth/svcauth/internal/profile"
	"github.com/svcauth/svcauth/internal/store"
)

// sharedClaims are the claims that are the same for all clients with the same
// roles and the same decision: RFC 9068 §2.2, and our own.
type sharedClaims struct {
	Issuer   string `json:"iss"`
	Audience any    `json:"aud"` // a string, or several in a []string (RFC 7519 §4.1.3)

	// The privileges, in the one that the API's profile says.
	Scope       string   `json:"scope,omitempty"`
	SCP         []string `json:"scp,omitempty"`
	Permissions []string `json:"permissions,omitempty"`

	// Full reports that no scope was asked for: the token may hand over
	// whatever its holder holds.
	Full  bool     `json:"full,omitempty"`
	Roles []string `json:"roles"`
}

// carry writes the privileges, which are separated by spaces in scope, into
// the claim that a profile names.
func (c *sharedClaims) carry(claim, scope string) {
	switch claim {
	case profile.ClaimSCP:
		c.SCP = strings.Fields(scope)
	case profile.ClaimPermissions:
		c.Permissions = strings.Fields(scope)
	default:
		c.Scope = scope
	}
}

// claims returns the claims of a decision as one object, with room for those
// that each token has for itself. bound says of the token whether it is.
func (d decision) claims(bound bool) []byte {
	shared, c := d.encoded, d.client
	if !bound && d.unbound != nil {
		shared = d.unbound
	}
	out := make([]byte, 0, len(shared)+len(d.more)+clientClaimsSize+maxTokenClaims)
	out = append(out, shared[:len(shared)-1]...)
	out = appendText(append(out, `,"sub":`...), c.Principal())
	out = appendText(append(out, `,"client_id":`...), c.ClientID)
	out = appendText(append(out, `,"org_id":`...), c.OrgID)
	out = strconv.AppendInt(append(out, `,"epoch":`...), c.Epoch, 10)
	out = strconv.AppendInt(append(out, `,"pol":`...), c.Policy, 10)
	if d.more != nil {
		return append(append(out, ','), d.more[1:]...)
	}
	return append(out, '}')
}

// clientClaimsSize is about how many bytes a client's claims take.
const clientClaimsSize = 200

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
	if len(p.Claims) == 0 && (len(listed) == 0 || h.Claims == "") {
		return nil
	}
	more := map[string]any{}
	if len(listed) > 0 && h.Claims != "" {
		var own map[string]json.RawMessage
		if json.Unmarshal([]byte(h.Claims), &own) == nil {
			for _, name := range listed {
				_, written := profile.Among(maps.Keys(p.Claims), name)
				if value, ok := own[name]; ok && !written && !profile.Reserved(name) {
					more[name] = value
				}
			}
		}
	}
	values := profile.Values{ClientID: h.ClientID, Subject: h.Principal(), OrgID: h.OrgID, Name: h.Name}
	if h.Kind == store.ClientApplicationKey {
		// It has no name: its description is chosen by any member, and may be
		// the name of an account.
		values.Name = h.ClientID
	}
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
	Credential string // cred
	IssuedAt   int64  // iat, in seconds since 1970
	ExpiresAt  int64  // exp
	JTI        string // jti

	Confirmation *confirmation // cnf; nil: the token is not bound
}

// after adds these claims to a decision's, which are an object.
func (c tokenClaims) after(decided []byte) []byte {
	out := decided[:len(decided)-1]
	out = appendText(append(out, `,"cred":`...), c.Credential)
	out = strconv.AppendInt(append(out, `,"iat":`...), c.IssuedAt, 10)
	out = strconv.AppendInt(append(out, `,"exp":`...), c.ExpiresAt, 10)
	out = appendText(append(out, `,"jti":`...), c.JTI)
	if c.Confirmation != nil {
		out = append(append(out, `,"cnf":`...), mustEncode(c.Confirmation)...)
	}
	return append(out, '}')
}

// maxTokenClaims is more bytes than these claims take: a token that is bound to
// a key and to a certificate has 260.
const maxTokenClaims = 320

// appendText appends a text as JSON. What the server itself names, which is
// nearly all, has nothing to escape.
func appendText(out []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(out, mustEncode(text)...)
		}
	}
	return append(append(append(out, '"'), text...), '"')
}

// mustEncode returns as JSON what always has that form: texts, integers, a
// bool, and what came from JSON. It leaves <, > and & as they are: HTML is
// nowhere near, and they would take six bytes each.
func mustEncode(claims any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(claims); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// tokenClaimsSize is how many bytes tokenClaims add to a token that is not
// bound. Ids have one length each, and times have ten digits until the year
// 2286.
var tokenClaimsSize = sizeOf(nil)

// sizeOf returns what they add to a token that is bound.
func sizeOf(c *confirmation) int {
	none := []byte("{}")
	return len(tokenClaims{
		Credential: "sec_00000000000000000000000000", JTI: newJTI(), IssuedAt: 1e9, ExpiresAt: 1e9, Confirmation: c,
	}.after(none)) - len(none)
}

// newJTI returns a token's id: 128 random bits.
func newJTI() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	var text [22]byte
	base64.RawURLEncoding.Encode(text[:], raw[:])
	return string(text[:])
}
