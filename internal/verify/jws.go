package verify

import (
	"crypto"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/untrusted"
)

const maxHeaderMembers = 16

var (
	strict      = base64.RawURLEncoding.Strict() // RFC 4648 §3.5: one spelling for one value
	headerNames = []string{"alg", "kid", "typ", "crit", "jwk"}
)

// JWS is a compact JWS (RFC 7515 §7.1) in its parts, none of them verified.
type JWS struct {
	Alg, Kid, Typ string
	// JWK is the key that the header brings along, as it stands there (RFC 7515
	// §4.1.3); nil: it brings none. Whoever sends a JWS can write any key into
	// it, so only a proof of possession may be checked with it (RFC 9449 §4.2).
	JWK []byte

	signed    string // what the signature covers
	payload   string // still encoded
	signature []byte
}

// ReadJWS takes a compact JWS apart and checks what can be checked without a
// key. It must have only one valid text, so that no second one passes:
// base64url and two dots, no line breaks, no padding, no stray bits. A header
// with crit (RFC 7515 §4.1.11) or b64 (RFC 7797) is refused, and whatever it
// says of where a key is (jku, x5u, x5c) is not looked at. An error is for the
// sender, and calls the JWS by noun: "the token".
func ReadJWS(noun, text string) (JWS, error) { return ReadJWSOf(noun, text, nil) }

// ReadJWSOf is [ReadJWS] for whoever remembers headers, which are the same in
// all that one client signs. known returns what one was read from the same
// encoded header before, if it was.
func ReadJWSOf(noun, text string, known func(header string) (JWS, bool)) (JWS, error) {
	header, rest, ok := strings.Cut(text, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || !isBase64URL(header) || !isBase64URL(payload) || !isBase64URL(signature) {
		return JWS{}, errors.New(noun + " is malformed: expected a JWT, three parts of base64url with dots between")
	}
	t := JWS{signed: text[:len(header)+1+len(payload)], payload: payload}
	var err error
	if t.signature, err = strict.DecodeString(signature); err != nil {
		return JWS{}, errors.New(noun + "'s signature is not strict base64url")
	}
	if known != nil {
		if h, ok := known(header); ok {
			t.Alg, t.Kid, t.Typ, t.JWK = h.Alg, h.Kid, h.Typ, h.JWK
			return t, nil
		}
	}
	raw, err := strict.DecodeString(header)
	if err != nil {
		return JWS{}, errors.New(noun + "'s header is not strict base64url")
	}
	return t, t.readHeader(noun, raw)
}

// Header returns the encoded header.
func (t *JWS) Header() string {
	header, _, _ := strings.Cut(t.signed, ".")
	return header
}

func isBase64URL(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}

func (t *JWS) readHeader(noun string, raw []byte) error {
	critical := false
	err := untrusted.Members(raw, headerNames, maxHeaderMembers, func(name string, value []byte) (err error) {
		switch name {
		case "alg":
			t.Alg, err = untrusted.String(value)
		case "kid":
			t.Kid, err = untrusted.String(value)
		case "typ":
			t.Typ, err = untrusted.String(value)
		case "jwk":
			t.JWK = value
		case "crit", "b64":
			critical = true
		}
		return err
	})
	switch {
	case err != nil:
		return errors.New(noun + "'s header can't be read: expected a JSON object with alg, kid and typ, each once")
	case critical:
		return errors.New(noun + "'s header demands an extension (crit) that is not understood here")
	case len(t.Kid) > jwk.MaxKidSize:
		return errors.New(noun + "'s kid is too long")
	}
	return nil
}

// Payload decodes what is signed, which need not be JSON. The error is for the
// sender.
func (t *JWS) Payload(noun string) ([]byte, error) {
	payload, err := strict.DecodeString(t.payload)
	if err != nil {
		return nil, errors.New(noun + "'s claims are not strict base64url")
	}
	return payload, nil
}

// Typed reports whether the header's typ is one of some media types without
// "application/" (RFC 7515 §4.1.9), in whichever case.
func (t *JWS) Typed(types ...string) bool {
	typ := strings.TrimPrefix(strings.ToLower(t.Typ), "application/")
	return slices.Contains(types, typ)
}

// SignedBy reports whether a key made the signature. The algorithm is the
// header's, which must be one that the caller takes from the key (RFC 8725
// §3.1).
func (t *JWS) SignedBy(key crypto.PublicKey) bool {
	alg := t.Alg
	if alg == jwk.Ed25519 {
		alg = jwk.EdDSA // RFC 9864 §2.2: the same, said more exactly
	}
	method := jwt.GetSigningMethod(alg)
	return method != nil && slices.Contains(jwk.Algorithms(key), t.Alg) &&
		method.Verify(t.signed, t.signature, key) == nil
}
