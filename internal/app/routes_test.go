package app

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/config"
)

// Each path that the server serves is refused as an alias of the token
// endpoint.
func TestNoAliasTakesTheServersOwnPaths(t *testing.T) {
	dir := t.TempDir()
	environ := []string{"SVCAUTH_DATABASE_URL=sqlite://" + filepath.Join(dir, "svcauth.db"),
		"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key")}
	cfg, err := config.Load(config.LoadOptions{Environ: environ})
	require.NoError(t, err)
	a, err := New(t.Context(), cfg, Options{Log: io.Discard})
	require.NoError(t, err)
	defer a.Close()
	for _, route := range a.face.Routes {
		first, _, _ := strings.Cut(strings.TrimPrefix(route, "/"), "/")
		if first == "" || route != "/oauth2/token" && a.tokenRoutes[route] {
			continue // the root, which is no path for an alias, or an alias
		}
		_, err := config.Load(config.LoadOptions{Environ: []string{"SVCAUTH_TOKEN_ALIASES=/" + first + "/x"}})
		require.ErrorContains(t, err, "the server serves /"+first+" itself", route)
	}
}
