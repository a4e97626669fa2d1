package tokensource

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/svcauth/svcauth/internal/jws"
)

const (
	// assertionLifetime is how long an assertion is valid. It is used at once,
	// and once only.
	assertionLifetime = time.Minute
	// assertionHeader is the typ of RFC 10070, by which an assertion can't be
	// taken for a token of another kind.
	assertionHeader = "client-authentication+jwt"
)

// privateKey is the way private_key_jwt (RFC 7523 §2.2, RFC 10070).
type privateKey struct {
	file, id, client, audience string
	now                        func() time.Time
}

func newPrivateKey(c Config) method {
	return privateKey{c.PrivateKeyFile, c.PrivateKeyID, c.ClientID, c.audience(), c.Clock}
}

func (k privateKey) check() error {
	_, err := readSigningKey(k.file)
	return err
}

func (k privateKey) prove(context.Context, *Source) (proof, error) {
	key, err := readSigningKey(k.file)
	if err != nil {
		return proof{}, err
	}
	kid := cmp.Or(k.id, key.kid)
	issued := k.now()
	assertion, err := jws.Sign(key.signer, key.alg,
		map[string]any{"typ": assertionHeader, "alg": key.alg, "kid": kid},
		map[string]any{
			"iss": k.client,
			"sub": k.client,
			"aud": k.audience, // alone, and a string: some servers refuse an array
			"jti": rand.Text(),
			"iat": issued.Unix(),
			"exp": issued.Add(assertionLifetime).Unix(),
		},
	)
	if err != nil {
		return proof{}, fmt.Errorf("sign an assertion with the private key file %s: %w", k.file, err)
	}
	p := assertionProof(k.client, assertion, JWTBearer)
	p.advice = fmt.Errorf("the assertion was signed by the key %s of %s for audience %s; check that its public key is "+
		"registered for client %s and has not expired, and that this machine's clock is right (it was %s)",
		kid, k.file, k.audience, k.client, issued.UTC().Format(time.RFC3339))
	return p, nil
}
