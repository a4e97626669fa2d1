package token

import (
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// The claims of a token (RFC 9068 §2.2, and ours: roles, org_id, epoch, pol, cred) are written by hand: all but four of them are the same for
// every token of a client, so they are written once when the client is read. A test compares the result with encoding/json's reading of it.

// appendClaims writes the part that is the same for every token of this client
// with this grant. full says that no scope was asked for: such a token may hand
// over whatever its holder holds.
func appendClaims(b []byte, c *Client, issuer string, audience []string, g grant, full bool) []byte {
	b = appendString(append(b, `{"iss":`...), issuer)
	b = appendString(append(b, `,"sub":`...), c.Subject)
	b = appendString(append(b, `,"client_id":`...), c.ClientID)
	b = append(b, `,"aud":`...)
	if len(audience) == 1 { // RFC 7519 §4.1.3: one may be a string
		b = appendString(b, audience[0])
	} else {
		b = appendStrings(b, audience)
	}
	if g.scope != "" {
		b = appendString(append(b, `,"scope":`...), g.scope)
	}
	if full {
		b = append(b, `,"full":true`...)
	}
	b = appendStrings(append(b, `,"roles":`...), g.roles)
	b = appendString(append(b, `,"org_id":`...), c.OrgID)
	b = strconv.AppendInt(append(b, `,"epoch":`...), c.Epoch, 10)
	return strconv.AppendInt(append(b, `,"pol":`...), c.Policy, 10)
}

// appendInstance completes it with what belongs to one token.
func appendInstance(b []byte, secretID, jti string, iat, exp int64) []byte {
	b = appendString(append(b, `,"cred":`...), secretID)
	b = strconv.AppendInt(append(b, `,"iat":`...), iat, 10)
	b = strconv.AppendInt(append(b, `,"exp":`...), exp, 10)
	b = appendString(append(b, `,"jti":`...), jti)
	return append(b, '}')
}

// instanceSize is what [appendInstance] appends: ids have one length, and times
// have ten digits until the year 2286.
var instanceSize = len(appendInstance(nil, "sec_00000000000000000000000000", newJTI(), 1e9, 1e9))

// newJTI makes a token's id: 128 random bits.
func newJTI() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	var text [22]byte
	base64.RawURLEncoding.Encode(text[:], raw[:])
	return string(text[:])
}

func appendStrings(b []byte, all []string) []byte {
	b = append(b, '[')
	for i, s := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string (RFC 8259 §7).
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += size
			continue
		}
		i++
	}
	return append(b, '"')
}
