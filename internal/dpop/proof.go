package dpop

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/internal/verify"
)

const (
	noun           = "the DPoP proof"
	maxProofClaims = 32
)

var proofClaims = []string{"jti", "htm", "htu", "iat", "ath", "nonce"}

// claims are those of a proof, RFC 9449 §4.2. A claim that is absent is zero.
type claims struct {
	jti, htm, htu, ath, nonce string
	iat                       time.Time
}

// read takes a proof apart and checks what it says by itself, but for its key.
// known is that of [verify.ReadJWSOf].
func read(text string, known func(header string) (verify.JWS, bool)) (verify.JWS, claims, error) {
	var c claims
	if len(text) > MaxProof {
		return verify.JWS{}, c, fmt.Errorf("%s is longer than %d characters: use a key on a curve, such as P-256",
			noun, MaxProof)
	}
	jws, err := verify.ReadJWSOf(noun, text, known)
	switch {
	case err != nil:
		return jws, c, err
	case !jws.Typed(possession.Type):
		return jws, c, errors.New(noun + " is a token of another kind: expected typ dpop+jwt in its header")
	case !slices.Contains(algorithms, jws.Alg):
		return jws, c, errors.New(noun + " is signed with a refused algorithm: expected one such as ES256")
	case jws.JWK == nil:
		return jws, c, errors.New(noun + " has no jwk in its header: expected the public key that checks it")
	}
	payload, err := jws.Payload(noun)
	if err != nil {
		return jws, c, err
	}
	err = untrusted.Members(payload, proofClaims, maxProofClaims, func(name string, value []byte) error {
		if err := c.set(name, value); err != nil {
			return fmt.Errorf("its %s is wrong: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return jws, c, fmt.Errorf("%s can't be read: %w", noun, err)
	}
	return jws, c, c.complete()
}

func (c *claims) set(name string, value []byte) (err error) {
	switch name {
	case "jti":
		c.jti, err = untrusted.String(value)
	case "htm":
		c.htm, err = untrusted.String(value)
	case "htu":
		c.htu, err = untrusted.String(value)
	case "iat":
		c.iat, err = untrusted.NumericDate(value)
	case "ath":
		c.ath, err = untrusted.String(value)
	case "nonce":
		c.nonce, err = untrusted.String(value)
	}
	return err
}

// complete checks that the required claims are there.
func (c *claims) complete() error {
	for _, required := range []struct {
		name    string
		missing bool
	}{{"jti", c.jti == ""}, {"htm", c.htm == ""}, {"htu", c.htu == ""}, {"iat", c.iat.IsZero()}} {
		if required.missing {
			return fmt.Errorf("%s has no %s", noun, required.name)
		}
	}
	if len(c.jti) > maxJTI {
		return fmt.Errorf("%s has a jti of more than %d bytes", noun, maxJTI)
	}
	return nil
}

// keyOf returns the proof's key.
func keyOf(jws *verify.JWS) (jwk.Verifier, error) {
	_, key, err := jwk.Parse(jws.JWK)
	switch {
	case err != nil:
		return key, fmt.Errorf("%s has as its jwk %w", noun, err)
	case !slices.Contains(key.Algorithms, jws.Alg):
		return key, errors.New(noun + "'s alg is none that its key signs with")
	}
	return key, nil
}
