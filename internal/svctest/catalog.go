package svctest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	defaults "github.com/svcauth/svcauth/config"
)

// The audiences of the built-in catalogue.
const (
	CloudAPI   = "https://api.cloud.example"
	BillingAPI = "https://billing.cloud.example"
)

// Catalog writes the built-in catalogue with further lines of YAML for some of
// its APIs, such as "account_claims: [tier]", and returns the entry of
// [Options.Environ] that has a server read it.
func Catalog(t testing.TB, lines map[string]string) string {
	t.Helper()
	text := string(defaults.Catalog)
	for audience, line := range lines {
		const indent = "\n    "
		at := "  - audience: " + audience
		require.Contains(t, text, at)
		text = strings.Replace(text, at, at+indent+strings.ReplaceAll(line, "\n", indent), 1)
	}
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return "SVCAUTH_CATALOG_FILE=" + path
}

// ClaimsCatalog is a [Catalog] whose APIs list claims of accounts: the Cloud API
// customer and tier, the Billing API customer alone.
func ClaimsCatalog(t testing.TB) string {
	return Catalog(t, map[string]string{
		CloudAPI: "account_claims: [customer, tier]", BillingAPI: "account_claims: [customer]",
	})
}
