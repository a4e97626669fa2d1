package keyring

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/svcauth/svcauth/internal/verify"
)

// The types of a token (RFC 7519 §5.1).
const (
	TypAccessToken = verify.TypAccessToken
	TypJWT         = verify.TypJWT
)

// algorithms and types are those of a [Form].
var (
	algorithms = [...]string{es256, rs256, eddsa}
	types      = [...]string{TypAccessToken, TypJWT}
)

// Form is how a token is signed. The zero value is how most are: with the
// server's algorithm, as at+jwt.
type Form struct {
	Algorithm string // ES256, RS256 or EdDSA; empty: the server's
	Typ       string // TypAccessToken or TypJWT; empty: the first
}

// Algorithm returns the server's signing algorithm.
func (k *Keyring) Algorithm() string { return k.cfg.Algorithm }

// typ returns the place of the form's type in types, and -1 for an unknown one.
func (f Form) typ() int {
	switch f.Typ {
	case "", TypAccessToken:
		return 0
	case TypJWT:
		return 1
	}
	return -1
}

// signerOf returns the key of the set that signs tokens of a form, and nil for an
// unknown algorithm.
func (s *set) signerOf(form Form) *key {
	switch form.Algorithm {
	case "":
		return s.signer
	case es256:
		return s.signers[0]
	case rs256:
		return s.signers[1]
	case eddsa:
		return s.signers[2]
	}
	return nil
}

// signer returns the key that signs tokens of a form now, and how they begin.
func (k *Keyring) signer(form Form) (*key, string, error) {
	current := k.keys.Load()
	if current == nil {
		return nil, "", errNotLoaded
	}
	typ := form.typ()
	if typ < 0 {
		return nil, "", fmt.Errorf("type %q of a token is unknown: expected at+jwt or JWT", form.Typ)
	}
	signer := current.signerOf(form)
	if signer == nil {
		return nil, "", fmt.Errorf("signing algorithm %q is unknown: expected ES256, RS256 or EdDSA", form.Algorithm)
	}
	return signer, signer.headers[typ], nil
}

// Sign returns the payload as a token (JWS compact serialization, RFC 7515
// §7.1), signed with the active key of the form's algorithm. If that has none
// yet, as verifiers must first have the time to fetch it, another algorithm's
// key signs. The header is {"alg","kid","typ"}. The payload is not looked at.
func (k *Keyring) Sign(form Form, payload []byte) (token string, err error) {
	signer, header, err := k.signer(form)
	if err != nil {
		return "", err
	}
	// One buffer for the whole token: what the builder has given out stays as
	// it is while more is appended behind it.
	var out strings.Builder
	out.Grow(size(header, len(payload), signer.sigSize))
	out.WriteString(header)
	appendBase64(&out, payload)
	signature, err := signer.method.Sign(out.String(), signer.private)
	if err != nil {
		return "", fmt.Errorf("sign with key %s: %w", signer.KID, err)
	}
	out.WriteByte('.')
	appendBase64(&out, signature)
	return out.String(), nil
}

// SignedByActive reports whether a token that [Keyring.Sign] has returned for a
// form would be signed with the same key now.
func (k *Keyring) SignedByActive(form Form, token string) bool {
	_, header, err := k.signer(form)
	return err == nil && strings.HasPrefix(token, header)
}

// TokenSize returns how many characters a token would have whose payload has so
// many bytes, signed now. It returns 0 before [Keyring.Load].
func (k *Keyring) TokenSize(form Form, payload int) int {
	signer, header, err := k.signer(form)
	if err != nil {
		return 0
	}
	return size(header, payload, signer.sigSize)
}

// TokenSize returns how many characters a token has whose payload has so many
// bytes, signed in a form that names its algorithm. It returns 0 for an unknown
// one.
func TokenSize(form Form, payload int) int {
	signature := map[string]int{es256: 64, rs256: rsaBits / 8, eddsa: 64}[form.Algorithm]
	typ := form.typ()
	if signature == 0 || typ < 0 {
		return 0
	}
	thumbprint := encode(make([]byte, sha256.Size))
	return size(header(form.Algorithm, thumbprint, types[typ]), payload, base64.RawURLEncoding.EncodedLen(signature))
}

// size adds up a token.
func size(header string, payload, signature int) int {
	return len(header) + base64.RawURLEncoding.EncodedLen(payload) + 1 + signature
}

// appendBase64 encodes in portions of a multiple of three bytes, so that no
// buffer of the whole size is needed beside the builder's.
func appendBase64(out *strings.Builder, b []byte) {
	var text [1024]byte
	for len(b) > 0 {
		n := min(len(b), len(text)/4*3)
		base64.RawURLEncoding.Encode(text[:], b[:n])
		out.Write(text[:base64.RawURLEncoding.EncodedLen(n)])
		b = b[n:]
	}
}
