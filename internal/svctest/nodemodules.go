package svctest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// NodeModules returns the directory with the OAuth2 clients of Node.js, which a
// program finds beside itself under the name node_modules. The tests of a
// package two directories below the repository's find it where `make deps` puts
// it.
func NodeModules(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("SVCAUTH_CLIENTS")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache", "clients")
	}
	dir, err := filepath.Abs(filepath.Join(dir, "node_modules"))
	require.NoError(t, err)
	require.DirExists(t, dir,
		"run `make deps`, or set SVCAUTH_CLIENTS to where `npm ci` was run in a copy of .ci/clients")
	return dir
}
