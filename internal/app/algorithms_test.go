package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// signedWith asks a node for a token and returns the algorithm of its
// signature.
func (p pair) signedWith(t *testing.T, s *svctest.Server) (alg, token string) {
	t.Helper()
	token = s.Token(p.account.ClientID, p.account.ClientSecret, "")
	head, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	require.NoError(t, err)
	return head.Method.Alg(), token
}

// bothSignWith waits until both nodes sign the client's tokens with an
// algorithm, and has each judge the other's.
func (p pair) bothSignWith(t *testing.T, algorithm string) (token string) {
	t.Helper()
	nodes := []*svctest.Server{p.one, p.two}
	for i, s := range nodes {
		require.Eventually(t, func() bool {
			var alg string
			alg, token = p.signedWith(t, s)
			return alg == algorithm
		}, patience, 10*time.Millisecond)
		require.True(t, p.activeAt(nodes[1-i], token))
	}
	return token
}

// A node starts with a catalogue that gives an API another algorithm, and later
// with one that takes it away. The other node, which has the old file, goes
// along, and no token is lost.
func TestAnAlgorithmComesAndGoesWithTheCatalogue(t *testing.T) {
	p := newPair(t)
	first := p.bothSignWith(t, "ES256")
	restart := func(environ string) {
		p.two.Stop()
		p.two.Set(environ)
		p.two.Start()
	}
	restart(svctest.Catalog(t, map[string]string{svctest.CloudAPI: "profile: {signing_algorithm: RS256}"}))
	for _, s := range []*svctest.Server{p.one, p.two} {
		require.Eventually(t, func() bool {
			announced := s.Get("/.well-known/openid-configuration", "").JSON["id_token_signing_alg_values_supported"]
			return fmt.Sprint(announced) == "[ES256 RS256]"
		}, patience, 10*time.Millisecond)
		alg, _ := p.signedWith(t, s)
		require.Equal(t, "ES256", alg, "the new key must be published before it signs")
	}
	require.Contains(t, p.two.Log(), "a signing algorithm waits for its first key to sign")

	keys, err := p.one.Admin().RotateSigningKeys(t.Context(), svcauth.KeyRotation{Algorithm: "RS256"})
	require.NoError(t, err)
	require.Len(t, keys.Items, 4, "two of each")
	second := p.bothSignWith(t, "RS256")

	restart("SVCAUTH_CATALOG_FILE=")
	p.bothSignWith(t, "ES256")
	for _, s := range []*svctest.Server{p.one, p.two} {
		require.True(t, p.activeAt(s, first))
		require.True(t, p.activeAt(s, second), "what a retired algorithm signed lives on")
	}
}
