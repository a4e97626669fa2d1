// Package possession makes proofs that the sender of a request has the private
// key to which its access token is bound (RFC 9449, DPoP), and owns the names
// by which they are sent. Package dpop checks them; this one is apart from it so
// that clients bring nothing along that they don't need.
package possession

import (
	"crypto/sha256"
	"encoding/base64"
)

const (
	// Header is the name of the header field with a proof, in the canonical
	// form of net/http.
	Header = "Dpop"
	// NonceHeader is that of the header field with a nonce (RFC 9449 §8).
	NonceHeader = "DPoP-Nonce"
	// Scheme is the one of Authorization that bound tokens come with (RFC 9449
	// §7.1), and their token_type (§5).
	Scheme = "DPoP"
	// Type is the typ of a proof's header (RFC 9449 §4.2).
	Type = "dpop+jwt"
	// CodeUseNonce is the error of a server that wants a nonce (RFC 9449 §8).
	CodeUseNonce = "use_dpop_nonce"
)

// TokenHash returns what a proof says of the access token that goes along: its
// claim ath (RFC 9449 §4.2).
func TokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
