package svctest

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// Chromium returns the path of a browser. It skips the test if services are
// not wanted, as the tests with PostgreSQL do, and fails it if none is
// installed.
//
// chromium-headless-shell is the same engine without the window around the
// page, which costs as much again as the page.
func Chromium(t testing.TB) string {
	t.Helper()
	needs.Service(t, "Chromium")
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.Fail(t, "no Chromium is installed (chromium-headless-shell, chromium, "+
		"chromium-browser or google-chrome on the PATH); "+
		"run `make deps`")
	return ""
}
