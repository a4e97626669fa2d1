package clientauth

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The scheme that a stored hash was made with counts: the right hash of another
// one fits no secret, nor does what is damaged or stored before there is a key.
func TestAHashOfAnotherSchemeFitsNoSecret(t *testing.T) {
	g := newGuesses(t)
	secret := svcauth.NewSecret()
	right := g.keys.HashSecret(secret)
	digits := strings.TrimPrefix(right, g.keys.SecretScheme())
	verify := secrets{hasher: g.keys, none: Methods(g.keys)[0].(basicSecret).none}
	require.Len(t, verify.none, len(right), "as much work as with a stored one")
	stored := func(materials ...string) *Client {
		c := &Client{Credentials: new(store.Credentials)}
		for i, m := range materials {
			c.Secrets = append(c.Secrets, store.StoredCredential{ID: "sec_" + string(rune('a'+i)), Material: m})
		}
		return c
	}
	for _, material := range []string{
		"", digits, "$hmac-sha256-v2$" + digits, "$HMAC-SHA256-V1$" + digits, "hmac-sha256-v1$" + digits,
		"$" + right, right[:len(right)-1], right + "0", strings.ToUpper(right), g.keys.SecretScheme(), verify.none,
		"$2b$12$" + digits,
	} {
		_, err := verify.verify(secret, stored(material))
		require.ErrorIs(t, err, wrongSecret, "%q", material)
		proof, err := verify.verify(secret, stored(material, right))
		require.NoError(t, err)
		require.Equal(t, Proof{CredentialID: "sec_b", Kind: "secret", ExpiresAt: time.Time{}}, proof)
	}
	verify.hasher = noKey{verify.hasher}
	_, err := verify.verify(secret, stored("", verify.none, right))
	require.ErrorIs(t, err, wrongSecret)
}

// noKey hashes as a keyring does that has not been loaded.
type noKey struct{ Hasher }

func (noKey) HashSecret(svcauth.Secret) string { return "" }
