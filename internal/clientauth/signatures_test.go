package clientauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Costly signatures wait for their turn, whether or not there is such a client,
// and nobody else waits for them. A client that has proven itself from where it
// is waits for no stranger.
func TestCostlySignaturesAreCheckedInTurn(t *testing.T) {
	const issuer = "https://auth.example.com"
	costly := limits.NewCostly()
	method := NewPrivateKey(PrivateKeyConfig{Issuer: issuer, Clock: time.Now, Signatures: NewSignatures(costly)})
	id, own := svcauth.NewID(svcauth.PrefixServiceAccount), newPrivate(t, elliptic.P521())
	public, err := jwk.Of(own.Public())
	require.NoError(t, err)
	client := &Client{Credentials: &store.Credentials{ClientID: id, OrgID: "org_1"}, Known: true}
	client.keys = clientKeys([]store.StoredCredential{
		{ID: "key_1", Material: store.KeyMaterial{JWK: &public}.Encode()},
	})
	ask := func(ctx context.Context, of string, as *Client, by *ecdsa.PrivateKey, from string) error {
		text, err := jwt.NewWithClaims(method521(by), jwt.MapClaims{"iss": of, "sub": of, "aud": issuer,
			"exp": time.Now().Add(time.Minute).Unix()}).SignedString(by)
		require.NoError(t, err)
		_, err = method.Verify(ctx, &Request{AssertionType: AssertionJWT, Assertion: text, ClientID: of,
			IP: netip.MustParseAddr(from)}, as)
		return err
	}
	nobody, unknown := &Client{Credentials: &store.Credentials{}}, svcauth.NewID(svcauth.PrefixServiceAccount)
	require.NoError(t, ask(t.Context(), id, client, own, "192.0.2.1"))

	var group sync.WaitGroup
	release := make(chan struct{})
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		taken := make(chan struct{})
		group.Go(func() {
			_ = costly.Run(t.Context(), "busy", func() bool { close(taken); <-release; return true })
		})
		<-taken
	}
	var wrong *Mismatch
	require.ErrorAs(t, ask(t.Context(), unknown, nobody, newPrivate(t, elliptic.P256()), "192.0.2.2"), &wrong,
		"what costs little does not wait")
	gone, leave := context.WithCancel(t.Context())
	leave()
	wrongKey := newPrivate(t, elliptic.P521())
	require.ErrorIs(t, ask(gone, unknown, nobody, wrongKey, "192.0.2.2"), context.Canceled)
	require.ErrorIs(t, ask(gone, id, client, wrongKey, "192.0.2.2"), context.Canceled)

	flood, end := context.WithCancel(t.Context())
	for crowded := false; !crowded; { // strangers, until there is no room for one more
		within, cancel := context.WithTimeout(flood, time.Millisecond)
		crowded = errors.Is(ask(within, unknown, nobody, wrongKey, "192.0.2.2"), limits.ErrCrowded)
		cancel()
		if !crowded {
			group.Go(func() { _ = ask(flood, unknown, nobody, wrongKey, "192.0.2.2") })
		}
	}
	require.ErrorIs(t, ask(t.Context(), id, client, own, "192.0.2.2"), limits.ErrCrowded,
		"from elsewhere it may be anybody")
	proven := make(chan error)
	go func() { proven <- ask(t.Context(), id, client, own, "192.0.2.1") }()
	close(release)
	require.NoError(t, <-proven)
	end()
	group.Wait()
}

func newPrivate(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func method521(by crypto.Signer) jwt.SigningMethod {
	if by.Public().(*ecdsa.PublicKey).Curve == elliptic.P521() {
		return jwt.SigningMethodES512
	}
	return jwt.SigningMethodES256
}
