package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// config check names the accounts that a new catalogue leaves without a default
// token, before it is in force.
func TestConfigCheckNamesAccountsWithTooLongTokens(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SVCAUTH_DATABASE_URL", "sqlite://"+filepath.Join(dir, "svcauth.db"))
	t.Setenv("SVCAUTH_MASTER_KEY_FILE", filepath.Join(dir, "master.key"))
	command := func(args ...string) string {
		var out, err bytes.Buffer
		require.Zero(t, run(t.Context(), args, strings.NewReader(""), &out, &err), err.String())
		return err.String()
	}
	require.NotContains(t, command("config", "check"), "token", "there is no database yet")
	require.NoFileExists(t, filepath.Join(dir, "svcauth.db"), "and none is made")
	command("bootstrap", "--admin-email", "admin@example.com")
	require.NotContains(t, command("config", "check"), "token of")

	catalog := "apis:\n  - audience: https://large.example\n    name: Large\n    description: D\n    privileges:\n"
	for i := range 500 {
		catalog += fmt.Sprintf("      - {name: \"privileges-of-some-length%03d:view\", title: T, description: D}\n", i)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte(catalog), 0o600))
	t.Setenv("SVCAUTH_CATALOG_FILE", filepath.Join(dir, "catalog.yaml"))
	said := command("config", "check")
	require.Contains(t, said, "warning: The application keys of admin@example.com would get a token of ")
	require.Contains(t, said, "by scope or resource")
	t.Setenv("SVCAUTH_TOKEN_MAX_SIZE", "0")
	require.NotContains(t, command("config", "check"), "token of")
}

// It names those, too, whose roles are of APIs with different profiles.
func TestConfigCheckNamesAccountsOfSeveralProfiles(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SVCAUTH_DATABASE_URL", "sqlite://"+filepath.Join(dir, "svcauth.db"))
	t.Setenv("SVCAUTH_MASTER_KEY_FILE", filepath.Join(dir, "master.key"))
	command := func(args ...string) string {
		var out, err bytes.Buffer
		require.Zero(t, run(t.Context(), args, strings.NewReader(""), &out, &err), err.String())
		return err.String()
	}
	command("bootstrap", "--admin-email", "admin@example.com")
	require.NotContains(t, command("config", "check"), "get no token")
	catalog := `apis:
  - {audience: 'https://a.example', name: A, privileges: [{name: 'a:see', title: T}]}
  - {audience: 'https://b.example', name: B, profile: {preset: azure-apim}, privileges: [{name: 'b:see', title: T}]}
`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte(catalog), 0o600))
	t.Setenv("SVCAUTH_CATALOG_FILE", filepath.Join(dir, "catalog.yaml"))
	t.Setenv("SVCAUTH_TOKEN_MAX_SIZE", "0")
	require.Contains(t, command("config", "check"), "warning: The application keys of admin@example.com get no token "+
		"without a resource, as their roles are of APIs whose tokens have different forms (https://a.example, "+
		"https://b.example).")
}
