package interop_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/resourceserver"
)

// TestBoundTokensOfNodeJS: openid-client and oauth4webapi get tokens that are
// bound to a key of each kind (DPoP), and call /v1 and an API behind
// pkg/resourceserver with them. All of them demand nonces, each its own.
func TestBoundTokensOfNodeJS(t *testing.T) {
	needs.Service(t, "Node.js with its OAuth2 clients")
	h := newHouse(t, "SVCAUTH_DPOP_NONCE=required")
	const audience = "https://api.cloud.example"
	api := httptest.NewUnstartedServer(nil)
	v, err := resourceserver.New(resourceserver.Config{
		Issuer: h.Issuer, Audience: audience, HTTPClient: h.HTTP, ProofNonces: resourceserver.NoncesRequired,
		ExternalURL: "http://" + api.Listener.Addr().String(),
	})
	require.NoError(t, err)
	defer v.Close()
	api.Config.Handler = v.Require(privilege)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	api.Start()
	defer api.Close()

	var cases []clientCase
	for _, library := range []string{"openid-client", "oauth4webapi"} {
		for _, algorithm := range []string{"ES256", "PS256", "RS256", "Ed25519"} {
			it := clientCase{
				Name: library + " " + algorithm, Library: library + ", bound", Algorithm: "ES256", DPoP: algorithm,
				Resources: map[string]string{
					h.Issuer: h.Issuer + "/v1/me", audience: api.URL + "/clusters/a%2fb?x=y",
				},
			}
			h.register(&it)
			cases = append(cases, it)
		}
	}
	results := h.node(cases)
	for _, it := range cases {
		t.Run(it.Name, func(t *testing.T) {
			got := results[it.Name]
			require.Empty(t, got.Error)
			require.Equal(t, []string{"dpop", "dpop"}, got.Types)
			as := []int{http.StatusOK, http.StatusOK, http.StatusUnauthorized} // the last one as a bearer token
			require.Equal(t, slices.Concat(as, as), got.Statuses)
		})
	}
}
