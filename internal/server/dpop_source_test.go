package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// TestOurOwnClientsBindTheirTokens: with the one switch a token source gets
// bound tokens and calls the management API and a resource server with them,
// whatever these ask of nonces, and the token alone is of no use (RFC 9449).
func TestOurOwnClientsBindTheirTokens(t *testing.T) {
	for _, nonces := range []string{"off", "optional", "required"} {
		t.Run(nonces, func(t *testing.T) {
			s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_DPOP_NONCE=" + nonces}})
			a := s.Account("bound", svcauth.RolesManage, "clusters:view")
			config := tokensource.Config{Issuer: s.Issuer, ClientID: a.ClientID, ClientSecret: a.ClientSecret,
				HTTPClient: s.HTTP, DPoP: true}
			client, tokens, err := tokensource.NewClient(config)
			require.NoError(t, err)
			defer tokens.Close()
			role, err := client.CreateRole(t.Context(), svcauth.NewRole{Name: "made with a proof"})
			require.NoError(t, err, "a body is sent again where a nonce is asked for")
			_, err = client.Role(t.Context(), role.ID)
			require.NoError(t, err)
			token, err := tokens.Token(t.Context())
			require.NoError(t, err)
			require.Equal(t, "DPoP", token.TokenType)
			require.Equal(t, http.StatusUnauthorized, s.Get("/v1/me", token.AccessToken).Status, "as a bearer token")
			_, err = tokens.BearerToken(t.Context())
			require.ErrorContains(t, err, "Source.Transport")
			require.NoError(t, tokens.Revoke(t.Context(), token.AccessToken))

			config.Resource = []string{audience}
			callAPI(t, s, config, resourceserver.ProofNonces(nonces))
		})
	}
}

// callAPI calls a resource server that asks for nonces with bound tokens, with
// and without a body.
func callAPI(t *testing.T, s *svctest.Server, config tokensource.Config, nonces resourceserver.ProofNonces) {
	t.Helper()
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer: s.Issuer, Audience: audience, HTTPClient: s.HTTP, ProofNonces: nonces,
	})
	require.NoError(t, err)
	defer verifier.Close()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	api := httptest.NewServer(verifier.Require("clusters:view")(echo))
	defer api.Close()
	tokens, err := tokensource.New(config)
	require.NoError(t, err)
	defer tokens.Close()
	through := &http.Client{Transport: tokens.Transport(nil)}
	for _, text := range []string{"first", "second", ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, api.URL+"/a%2Fb?c=d",
			strings.NewReader(text))
		require.NoError(t, err)
		res, err := through.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode, "%s", res.Header)
		require.Equal(t, text, string(body))
		require.Empty(t, req.Header, "a RoundTripper must not change its request")
	}
}
