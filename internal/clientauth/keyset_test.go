package clientauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/remotekeys"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// However often a request is looked at, it costs one fetch and four signatures.
func TestARequestCostsOneFetch(t *testing.T) {
	var keys []jwk.Key
	var private []*ecdsa.PrivateKey
	for range 6 {
		one, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		public, err := jwk.Of(one.Public())
		require.NoError(t, err)
		keys, private = append(keys, public), append(private, one)
	}
	var fetches atomic.Int64
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		if err := json.NewEncoder(w).Encode(map[string]any{"keys": keys}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(published.Close)
	id := svcauth.NewID(svcauth.PrefixServiceAccount)
	client := &Client{Credentials: &store.Credentials{ClientID: id}, Known: true}
	client.keySets = clientKeySets([]store.StoredCredential{
		{ID: "key_1", Material: store.KeyMaterial{JWKSURI: published.URL + "/1"}.Encode()},
		{ID: "key_2", Material: store.KeyMaterial{JWKSURI: published.URL + "/2"}.Encode()},
		{ID: "key_3", Material: "what a later release writes"},
	})
	require.Len(t, client.keySets, 2)
	const issuer = "https://auth.example.com"
	signed := func(by int) *Request {
		text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
			"iss": client.ClientID, "sub": client.ClientID, "aud": issuer, "exp": time.Now().Add(time.Minute).Unix(),
		}).SignedString(private[by])
		require.NoError(t, err)
		return &Request{AssertionType: AssertionJWT, Assertion: text}
	}
	for by, passes := range map[int]bool{0: true, 3: true, 4: false, 5: false} {
		fetches.Store(0)
		fetched := remotekeys.New(remotekeys.Config{
			AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		})
		method := NewPrivateKey(PrivateKeyConfig{Issuer: issuer, Clock: time.Now, Keys: fetched})
		r := signed(by)
		proof, err := method.Verify(t.Context(), r, client)
		require.Equal(t, passes, err == nil, by)
		if passes {
			require.Equal(t, "key_2", proof.CredentialID, "the newest first")
		}
		_, err = method.Verify(t.Context(), r, client)
		require.Equal(t, by == 0, err == nil, "four signatures for both looks")
		require.EqualValues(t, 1, fetches.Load(), by)
	}
}

// Where a token's subject is not what a credential compares, whoever has the
// token made chose it: the audit log has a bounded part of it, on one line.
func TestWhoIsDescribedIsBounded(t *testing.T) {
	proof := Proof{CredentialID: svcauth.NewID(svcauth.PrefixFederated), Issuer: "https://issuer.example",
		Subject: "a\nb" + strings.Repeat("x", 10_000)}
	text := proof.described()
	require.Less(t, len(text), 3*maxShown)
	require.Contains(t, text, "federated credential "+proof.CredentialID+
		", by a token of https://issuer.example for a?b")
}
