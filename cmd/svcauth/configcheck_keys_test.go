package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// config check says that an algorithm which a new catalogue brings would not
// sign at once, and from when on it would.
func TestConfigCheckSaysWhenANewAlgorithmSigns(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SVCAUTH_DATABASE_URL", "sqlite://"+filepath.Join(dir, "svcauth.db"))
	t.Setenv("SVCAUTH_MASTER_KEY_FILE", filepath.Join(dir, "master.key"))
	command := func(args ...string) string {
		var out, err bytes.Buffer
		require.Zero(t, run(t.Context(), args, strings.NewReader(""), &out, &err), err.String())
		return err.String()
	}
	command("bootstrap", "--admin-email", "admin@example.com")
	require.NotContains(t, command("config", "check"), "must be published")

	catalog := "apis:\n  - audience: https://gateway.example\n    name: Gateway\n    description: D\n" +
		"    profile: {preset: aws-api-gateway}\n    privileges:\n      - {name: \"a:b\", title: T, description: D}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte(catalog), 0o600))
	t.Setenv("SVCAUTH_CATALOG_FILE", filepath.Join(dir, "catalog.yaml"))
	said := regexp.MustCompile(`note: RS256 is new, and its first key must be published before it signs: ` +
		`that is at (\S+), and until then ES256 signs in its place`).FindStringSubmatch(command("config", "check"))
	require.NotNil(t, said)
	at, err := time.Parse(time.RFC3339, said[1])
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), at, time.Minute, "keys.publish_before from now on")

	// Keys of two algorithms need room for those that retire.
	const crowded = "warning: keys.rotate_every is 9h, too short for keys of 2 algorithms (ES256, RS256)"
	require.NotContains(t, command("config", "check"), "too short for keys of")
	t.Setenv("SVCAUTH_KEYS_PUBLISH_BEFORE", "2h")
	t.Setenv("SVCAUTH_KEYS_ROTATE_EVERY", "9h")
	require.Contains(t, command("config", "check"), crowded)
	require.Contains(t, command("config", "check"), "; 10h or more would do")
	t.Setenv("SVCAUTH_KEYS_ROTATE_EVERY", "10h")
	require.NotContains(t, command("config", "check"), "too short for keys of")
	t.Setenv("SVCAUTH_DATABASE_URL", "sqlite://"+filepath.Join(dir, "none.db"))
	t.Setenv("SVCAUTH_KEYS_ROTATE_EVERY", "9h")
	require.Contains(t, command("config", "check"), crowded, "of a new installation too")
}
