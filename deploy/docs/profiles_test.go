package docs_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestThePageOfProfiles starts a server with the page's catalogue, and asks for
// tokens as the page says.
func TestThePageOfProfiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	require.NoError(t, os.WriteFile(file, []byte(snippetOf(t, "profiles.md", "apis:")), 0o600))
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_CATALOG_FILE=" + file}})
	reader := s.Account("reader", "orders:view", "events:read", "stock:view")
	ask := func(resource string) svctest.Answer {
		form := url.Values{"grant_type": {"client_credentials"}}
		if resource != "" {
			form.Set("resource", resource)
		}
		return s.Post("/oauth2/token", reader.ClientID, reader.ClientSecret, form)
	}
	read := func(answer svctest.Answer) (header map[string]any, claims jwt.MapClaims) {
		t.Helper()
		require.Equal(t, 200, answer.Status, answer.Text)
		token, _, err := jwt.NewParser().ParseUnverified(answer.JSON["access_token"].(string), jwt.MapClaims{})
		require.NoError(t, err)
		return token.Header, token.Claims.(jwt.MapClaims)
	}
	const orders = "https://orders.example.com"
	answer := ask("")
	require.Equal(t, "invalid_target", answer.JSON["error"])
	require.Contains(t, answer.JSON["error_description"], "resource="+orders)

	header, claims := read(ask("https://kafka.example.com"))
	require.Equal(t, []any{"ES256", "at+jwt", "Bearer"}, []any{header["alg"], header["typ"], claims["typ"]})
	_, claims = read(ask("https://stock.example.com"))
	require.Equal(t, "stock:view", claims["scope"])

	resource, own := orders, map[string]any{"region": "eu"}
	_, err := s.Admin().UpdateServiceAccount(t.Context(), reader.ID, 0,
		svcauth.ServiceAccountPatch{DefaultResource: &resource, Claims: &own}, 0)
	require.NoError(t, err)
	header, claims = read(ask(""))
	require.Equal(t, []any{"RS256", "JWT"}, []any{header["alg"], header["typ"]})
	require.Equal(t, []any{"orders:view"}, claims["scp"])
	require.Equal(t, s.Tenant.Organization.ID+"/reader", claims["tenant"])
	require.Equal(t, "eu", claims["region"])
}
