package verify

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// Config says whose tokens are accepted, and for whom. The zero value of a
// field means what it says: no leeway, no memory. Issuer, Keys and Clock are
// required.
type Config struct {
	Issuer      string
	Audience    string         // must be in the token's aud, unless AnyAudience is set
	AnyAudience bool           // for introspection (RFC 7662), which is asked about tokens for others
	TypJWT      bool           // access tokens may have typ JWT, too: the issuer signs nothing else as such
	Keys        KeySource      // the issuer's
	Revocations *RevocationSet // nil: nothing is revoked
	Leeway      time.Duration  // how far the issuer's clock may differ: for exp
	IssuedAhead time.Duration  // the same for iat and nbf, where the issuer's nodes each have a clock
	Remember    int            // how many tokens found good are remembered, at most
	Clock       func() time.Time
}

// KeySource returns the key that a token names.
type KeySource interface {
	// Key returns the key with this id, and the one algorithm (ES256, RS256 or
	// EdDSA) that it may be used with (RFC 8725 §3.1). It is called for every
	// token, remembered ones included. It returns [ErrUnknownKey] if there is
	// no such key; any other error means that keys are unavailable.
	Key(ctx context.Context, kid string) (alg string, key crypto.PublicKey, err error)
}

// ErrUnknownKey is what a [KeySource] returns for a kid that the issuer does
// not have.
var ErrUnknownKey = errors.New("the issuer has no key with this id")

// Verifier checks tokens of one issuer. It is safe for concurrent use and runs
// nothing in the background.
type Verifier struct {
	cfg                      Config
	issuerText, audienceText string // fit for a quoted header parameter
	memory                   *memory
}

// DefaultRemember is how many tokens are remembered, if a configuration does
// not say otherwise. Each takes about 1.5 KiB.
const DefaultRemember = 32768

// New returns a Verifier.
func New(cfg Config) (*Verifier, error) {
	memory, err := newMemory(cfg.Remember)
	if err != nil {
		return nil, err
	}
	return &Verifier{cfg: cfg, memory: memory,
		issuerText: untrusted.Quotable(cfg.Issuer, 200), audienceText: untrusted.Quotable(cfg.Audience, 200)}, nil
}

// Verify returns the claims of a valid token. Every error is an [*Error]. All
// requests with that token share the claims, so nobody may change them. The
// context bounds the wait for keys.
func (v *Verifier) Verify(ctx context.Context, token string) (*Claims, error) {
	if len(token) > maxTokenSize {
		return nil, tooLong()
	}
	id := v.memory.id(token)
	entry := v.recall(ctx, id)
	fresh := entry == nil
	if fresh {
		var refusal *Error
		if entry, refusal = v.check(ctx, token); refusal != nil {
			return nil, refusal
		}
	} else if !v.cfg.Clock().Before(entry.until) {
		v.memory.forget(id)
		return nil, expired()
	}
	if v.isRevoked(entry) {
		v.memory.forget(id)
		return nil, Revoked()
	}
	if fresh {
		v.memory.keep(id, entry, v.cfg.Clock())
	}
	return entry.claims, nil
}

// recall returns a remembered token, if the issuer still has the very key that
// signed it.
func (v *Verifier) recall(ctx context.Context, id digest) *knownToken {
	entry := v.memory.find(id)
	if entry == nil {
		return nil
	}
	if alg, key, err := v.cfg.Keys.Key(ctx, entry.kid); err != nil || alg != entry.alg || !sameKey(key, entry.key) {
		v.memory.forget(id)
		return nil
	}
	return entry
}

// isRevoked asks the set only if it has grown since it was last asked about
// this token. The generation is read before the set, so that an entry added in
// between leads to one check too many, never to one too few.
func (v *Verifier) isRevoked(entry *knownToken) bool {
	set := v.cfg.Revocations
	if set == nil {
		return false
	}
	generation := set.generation.Load()
	if entry.cleared.Load() == generation+1 {
		return false
	}
	if _, revoked := set.Revoked(entry.claims); revoked {
		return true
	}
	entry.cleared.Store(generation + 1) // 0 is 'never asked'
	return false
}

// check does everything for a token that is not remembered: form, key,
// signature, claims.
func (v *Verifier) check(ctx context.Context, token string) (*knownToken, *Error) {
	entry, refusal := v.checkSignature(ctx, token)
	if refusal == nil {
		refusal = v.checkClaims(entry.claims)
	}
	if refusal != nil {
		return nil, refusal
	}
	return entry, nil
}

// checkSignature finds out who signed a token and what it says.
func (v *Verifier) checkSignature(ctx context.Context, token string) (*knownToken, *Error) {
	t, refusal := split(token, v.cfg.TypJWT)
	if refusal != nil {
		return nil, refusal
	}
	alg, key, err := v.cfg.Keys.Key(ctx, t.Kid)
	if errors.Is(err, ErrUnknownKey) {
		return nil, invalidToken(fmt.Sprintf(
			"the token is signed with a key that the issuer '%s' does not have",
			v.issuerText,
		))
	}
	if err != nil {
		return nil, Unavailable("the issuer's keys are unavailable; ask again later", err)
	}
	if refusal = signedBy(&t, alg, key); refusal != nil {
		return nil, refusal
	}
	payload, err := t.Payload("the token")
	if err != nil {
		return nil, invalidToken(err.Error())
	}
	claims, err := parseClaims(payload)
	if err != nil {
		return nil, invalidToken("the token's claims can't be accepted: " + untrusted.Quotable(err.Error(), 120))
	}
	return &knownToken{claims: claims, kid: t.Kid, alg: alg, key: key, until: claims.ExpiresAt.Add(v.cfg.Leeway)}, nil
}

// Authentic is the first half of [Verifier.Verify]: it returns the claims of a
// token if a key of the issuer signed it, whatever its time, audience and
// revocation. It is for explaining a refusal, never for granting access. Every
// error is an [*Error].
func (v *Verifier) Authentic(ctx context.Context, token string) (*Claims, error) {
	entry, refusal := v.checkSignature(ctx, token)
	if refusal != nil {
		return nil, refusal
	}
	return entry.claims, nil
}

// CheckClaims is the second half of [Verifier.Verify]: it returns nil if claims
// that are known to be authentic would be accepted here and now. Every error is
// an [*Error].
func (v *Verifier) CheckClaims(c *Claims) error {
	if refusal := v.checkClaims(c); refusal != nil {
		return refusal
	}
	if v.cfg.Revocations != nil {
		if _, revoked := v.cfg.Revocations.Revoked(c); revoked {
			return Revoked()
		}
	}
	return nil
}

// checkClaims does the checks of RFC 9068 §4 and RFC 8725 §3.8 and §3.9 that
// compare claims with what is expected here.
func (v *Verifier) checkClaims(c *Claims) *Error {
	now := v.cfg.Clock()
	switch {
	case c.Issuer != v.cfg.Issuer:
		return invalidToken(fmt.Sprintf("the token is from another issuer: expected iss '%s'", v.issuerText))
	case !v.cfg.AnyAudience && !slices.Contains(c.Audience, v.cfg.Audience):
		return invalidToken(fmt.Sprintf("the token is for another API: expected '%s' in aud; "+
			"ask the issuer for a token with resource=%s",
			v.audienceText, v.audienceText))
	case !now.Before(c.ExpiresAt.Add(v.cfg.Leeway)):
		return expired()
	case c.IssuedAt.After(now.Add(v.cfg.IssuedAhead)):
		return invalidToken("the token was issued in the future: compare this server's clock with the issuer's")
	case c.NotBefore.After(now.Add(v.cfg.IssuedAhead)):
		return invalidToken("the token is not valid yet")
	}
	return nil
}
