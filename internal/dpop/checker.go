package dpop

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/verify"
)

// Config is what a [Checker] stands on.
type Config struct {
	Mode    Mode    // of nonces; empty: off
	Nonces  *Nonces // nil if Mode is off
	Replays Replays
	Clock   func() time.Time
	// InTurn calls check, which costs much, when it is an owner's turn. The
	// error is that of a turn that does not come. nil: it is called at once.
	InTurn func(ctx context.Context, owner string, check func() (right bool)) error
}

// Checker checks proofs. It is safe for concurrent use.
type Checker struct {
	cfg     Config
	headers headers
}

// NewChecker returns a Checker.
func NewChecker(cfg Config) *Checker {
	if cfg.Nonces == nil || cfg.Mode == "" {
		cfg.Mode = NonceOff
	}
	return &Checker{cfg: cfg}
}

// Request is the request that a proof is for.
type Request struct {
	Proofs []string // the values of the header field DPoP
	Method string
	// Bases and Path are together the URLs of what is asked for, without query,
	// as callers know it: an origin, perhaps with a part of the path that a
	// proxy takes away, and the encoded path.
	Bases []string
	Path  string

	Token string // the access token that comes along; empty at the token endpoint
	Key   string // the jkt that the token is bound to (RFC 9449 §6.1); empty if Token is
	Owner string // in whose turn and share of the memory the proof is
}

// Proof is a proof that was found right.
type Proof struct {
	Thumbprint string // of its key (RFC 7638), the jkt of a token that is bound to it
	// Nonce is to be sent beside the answer, so that the client has a newer one
	// than the proof's; empty: none is.
	Nonce string

	use Use
}

// Check checks a proof as RFC 9449 §4.3 says, in an order in which the cheapest
// comes first: one signature is checked at most, and none of a key that the
// token is not bound to. It does not yet know whether the proof was used
// before: [Checker.Use] does. An error is an [*Error], or that of a turn that does
// not come.
func (c *Checker) Check(ctx context.Context, r Request) (Proof, error) {
	switch {
	case len(r.Proofs) == 0:
		return Proof{}, c.offering(invalid(reasonForm, "the DPoP proof is missing: send one in the header field DPoP"))
	case len(r.Proofs) > 1: // check 1
		return Proof{}, invalid(reasonForm, "the header field DPoP came %d times: send one proof", len(r.Proofs))
	}
	jws, claims, err := read(r.Proofs[0], c.headers.jws) // checks 2 to 5
	if err != nil {
		return Proof{}, invalid(reasonForm, "%s", err)
	}
	if err := r.isTarget(claims); err != nil { // checks 8 and 9
		return Proof{}, err
	}
	proof, err := c.inTime(claims) // checks 10 and 11
	if err != nil {
		return Proof{}, err
	}
	if r.Token != "" && !sameHash(claims.ath, r.Token) { // check 12
		return Proof{}, invalid(reasonTarget, "%s is for another access token: expected as its ath the base64url of "+
			"the token's SHA-256", noun)
	}
	key, known := c.headers.key(jws.Header())
	if !known {
		if key, err = keyOf(&jws); err != nil { // checks 5 and 7
			return Proof{}, invalid(reasonKey, "%s", err)
		}
	}
	if r.Token != "" && key.Thumbprint != r.Key { // check 12
		return Proof{}, &Error{Code: CodeInvalidToken, Reason: reasonKey,
			Description: "the token is bound to another key than the one that the DPoP proof is made with"}
	}
	switch signed, err := c.signed(ctx, &jws, key.Key, r.Owner); { // check 6
	case err != nil:
		return Proof{}, err
	case !signed:
		return Proof{}, invalid(reasonSignature, "%s's signature is not made by the key in its header", noun)
	}
	if !known {
		c.headers.keep(jws, key)
	}
	proof.Thumbprint, proof.use.Owner = key.Thumbprint, r.Owner
	proof.use.ID = sha256.Sum256([]byte(key.Thumbprint + "\x00" + claims.jti))
	return proof, nil
}

func (r *Request) isTarget(c claims) error {
	if c.htm != r.Method {
		return invalid(reasonTarget, "%s is for another method: expected htm %s", noun, r.Method)
	}
	for _, base := range r.Bases {
		if SameTarget(c.htu, base, r.Path) {
			return nil
		}
	}
	if len(r.Bases) == 0 {
		return invalid(reasonTarget, "%s can't be compared with this request: by which URL callers reach this server "+
			"is not known here; its operator must configure it", noun)
	}
	expected := r.Bases[0] + r.Path
	if normal, ok := normalize(expected); ok {
		expected = normal
	}
	return invalid(reasonTarget, "%s is for another URL: expected htu %s", noun, expected)
}

// inTime judges a proof by its nonce or, if it has none, by its iat.
func (c *Checker) inTime(claims claims) (p Proof, err error) {
	now := c.cfg.Clock()
	if c.cfg.Mode != NonceOff {
		if claims.nonce != "" {
			given, renew, ok := c.cfg.Nonces.given(claims.nonce)
			if !ok {
				return p, c.needsNonce("has a nonce that this server has not given, or not lately")
			}
			if renew {
				p.Nonce = c.cfg.Nonces.Newest()
			}
			p.use.Earliest, p.use.Until = given, given.Add(remembered)
			return p, nil
		}
		if c.cfg.Mode == NonceRequired {
			return p, c.needsNonce("has no nonce, which this server demands")
		}
		p.Nonce = c.cfg.Nonces.Newest()
	}
	p.use.Earliest, p.use.Until = claims.iat.Add(-maxAhead), claims.iat.Add(maxAge)
	if !now.Before(p.use.Earliest) && !now.After(p.use.Until.Add(time.Second)) { // iat is cut to whole seconds
		return p, nil
	}
	if c.cfg.Mode != NonceOff {
		return p, c.needsNonce("was not made just now; with a nonce the clocks need not agree")
	}
	return p, invalid(reasonTime, "%s was not made just now (iat): make one for each request, and compare this "+
		"clock with the server's, which says %s", noun, now.UTC().Format(time.RFC3339))
}

func (c *Checker) needsNonce(why string) *Error {
	return &Error{Code: CodeUseNonce, Reason: reasonNonce, Nonce: c.cfg.Nonces.Newest(),
		Description: noun + " " + why + ": make one with the nonce of DPoP-Nonce, and send the request again"}
}

// offering adds a nonce to a refusal, if a proof must have one.
func (c *Checker) offering(e *Error) *Error {
	if c.cfg.Mode == NonceRequired {
		e.Nonce = c.cfg.Nonces.Newest()
	}
	return e
}

// signed reports whether a key made a proof's signature.
func (c *Checker) signed(
	ctx context.Context, jws *verify.JWS, key crypto.PublicKey, owner string,
) (is bool, err error) {
	if c.cfg.InTurn == nil || !jwk.Costly(key) {
		return jws.SignedBy(key), nil
	}
	err = c.cfg.InTurn(ctx, owner, func() bool { is = jws.SignedBy(key); return is })
	return is, err
}

// Use uses up a proof, in the share of the memory that is its owner's. It
// refuses one that was used before (RFC 9449 §11.1), or that may have been. An
// error is an [*Error], or that of ctx.
func (c *Checker) Use(ctx context.Context, p Proof) error {
	p.use.Now = c.cfg.Clock() // it may have waited since it was checked
	switch outcome := c.cfg.Replays.Use(ctx, p.use); {
	case outcome == First:
		return nil
	case outcome == Again:
		return invalid(reasonReplayed, "%s was used before (jti): make a new one for each request", noun)
	case ctx.Err() != nil:
		return ctx.Err()
	case c.cfg.Mode != NonceOff:
		return c.needsNonce("was made too long ago to know that it was not used before")
	}
	return invalid(reasonReplayed, "%s was made too long ago to know that it was not used before, as very many come "+
		"in: make one for each request, just before it is sent", noun)
}

// sameHash reports whether ath is the hash of a token, RFC 9449 §4.2.
func sameHash(ath, token string) bool {
	return subtle.ConstantTimeCompare([]byte(ath), []byte(possession.TokenHash(token))) == 1
}

// Refusal returns the [*Error] in err's tree, or nil if there is none.
func Refusal(err error) *Error {
	var found *Error
	_ = errors.As(err, &found)
	return found
}
