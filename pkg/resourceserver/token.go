package resourceserver

import (
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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

// jws is a compact JWS taken apart, nothing of it verified.
type jws struct {
	alg, kid  string
	signed    string // what the signature covers
	payload   string // still encoded
	signature []byte
}

// split takes a token apart and checks all that can be checked without a key. The
// text must be the only one for its content, so that no second spelling of a token
// passes: base64url and two dots, no line breaks, no padding, no stray bits.
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

// readHeader checks the JOSE header: typ (RFC 9068 §4), crit (RFC 7515 §4.1.11) and
// alg (RFC 8725 §3.1).
func (t *jws) readHeader(raw []byte) *Error {
	typ, critical := "", false
	err := members(raw, headerNames, maxHeaderMembers, func(name string, value []byte) (err error) {
		switch name {
		case "alg":
			t.alg, err = text(value)
		case "kid":
			t.kid, err = text(value)
		case "typ":
			typ, err = text(value)
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
	return invalidToken(fmt.Sprintf("the token is longer than %d characters; ask for fewer privileges, by scope or resource", maxTokenSize))
}

// check does everything for a token that is not remembered: form, key, signature, claims.
func (v *Verifier) check(ctx context.Context, token string) (*remembered, *Error) {
	entry, refusal := v.authentic(ctx, token)
	if refusal == nil {
		refusal = v.checkClaims(&entry.principal.Claims, v.cfg.Clock())
	}
	if refusal != nil {
		return nil, refusal
	}
	return entry, nil
}

// authentic finds out who signed a token and what it says.
func (v *Verifier) authentic(ctx context.Context, token string) (*remembered, *Error) {
	t, refusal := split(token)
	if refusal != nil {
		return nil, refusal
	}
	alg, key, err := v.keys.Key(ctx, t.kid)
	if errors.Is(err, ErrUnknownKey) {
		return nil, invalidToken(fmt.Sprintf("the token is signed with a key that the issuer '%s' does not have", v.issuerText))
	}
	if err != nil {
		return nil, unavailable("the issuer's keys are unavailable; ask again later", err)
	}
	if refusal = t.signedBy(alg, key); refusal != nil {
		return nil, refusal
	}
	payload, err := strict.DecodeString(t.payload)
	if err != nil {
		return nil, invalidToken("the token's claims are not strict base64url")
	}
	claims, err := parseClaims(payload)
	if err != nil {
		return nil, invalidToken("the token's claims can't be accepted: " + untrusted.Quotable(err.Error(), 120))
	}
	return &remembered{principal: NewPrincipal(claims), kid: t.kid, alg: alg, key: key, until: claims.ExpiresAt.Add(v.cfg.Leeway)}, nil
}

// Authentic is the first half of [Verifier.Verify]: it returns what a token claims
// if a key of the issuer has signed it, whatever its time, audience and revocation.
// It serves to explain a refusal, never to let anybody in. Every error is an
// [*Error].
func (v *Verifier) Authentic(ctx context.Context, token string) (*Principal, error) {
	entry, refusal := v.authentic(ctx, token)
	if refusal != nil {
		return nil, refusal
	}
	return entry.principal, nil
}

// Judge is the second half of [Verifier.Verify]: it returns nil if claims that are
// known to be authentic would be accepted here and now. Every error is an [*Error].
func (v *Verifier) Judge(p *Principal) error {
	if refusal := v.checkClaims(&p.Claims, v.cfg.Clock()); refusal != nil {
		return refusal
	}
	if v.cfg.Revocations != nil {
		if _, is := v.cfg.Revocations.Revoked(&p.Claims); is {
			return revoked()
		}
	}
	return nil
}

// checkClaims does the checks of RFC 9068 §4 and RFC 8725 §3.8 and §3.9 that
// compare claims with what is expected here.
func (v *Verifier) checkClaims(c *Claims, now time.Time) *Error {
	leeway := v.cfg.Leeway
	switch {
	case c.Issuer != v.cfg.Issuer:
		return invalidToken(fmt.Sprintf("the token is from another issuer: expected iss '%s'", v.issuerText))
	case !v.cfg.AnyAudience && !slices.Contains(c.Audience, v.cfg.Audience):
		return invalidToken(fmt.Sprintf("the token is for another API: expected '%s' in aud; ask the issuer for a token with resource=%s", v.audienceText, v.audienceText))
	case !now.Before(c.ExpiresAt.Add(leeway)):
		return expired()
	case c.IssuedAt.After(now.Add(v.cfg.IssuedAhead)):
		return invalidToken("the token was issued in the future: compare this server's clock with the issuer's")
	case c.NotBefore.After(now.Add(v.cfg.IssuedAhead)):
		return invalidToken("the token is not valid yet")
	}
	return nil
}

func expired() *Error {
	e := invalidToken("the token has expired; ask for a new one")
	e.Cause = ErrExpired
	return e
}

func revoked() *Error {
	e := invalidToken("the token was revoked; ask for a new one")
	e.Cause = ErrRevoked
	return e
}
