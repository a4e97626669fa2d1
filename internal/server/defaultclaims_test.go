package server_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// An account's own claims make its token too long, though its roles alone do
// not: it is named when the claims are set, and by a change of its role.
func TestAccountsWithLongClaimsAreNamed(t *testing.T) {
	path := largeCatalog(t, 500)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path,
		[]byte(strings.Replace(string(text), "name: Large\n", "name: Large\n    account_claims: [tier]\n", 1)), 0o600))
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_CATALOG_FILE=" + path}})
	var names []string
	for i := range 121 {
		names = append(names, fmt.Sprintf("privileges-of-some-length%03d:view", i))
	}
	account := s.Account("claimed", names[:120]...)
	s.Token(account.ClientID, account.ClientSecret, "")
	const refused = "after a change an account gets a token by scope or resource only"
	require.NotContains(t, s.Log(), refused)
	_, err = s.Admin().UpdateServiceAccount(t.Context(), account.ID, 0, svcauth.ServiceAccountPatch{
		Claims: &map[string]any{"tier": strings.Repeat("x", 2000)},
	}, 0)
	require.NoError(t, err)
	require.Contains(t, s.Log(), refused)
	answer := s.Post("/oauth2/token", account.ClientID, account.ClientSecret, grantForm)
	require.Equal(t, "invalid_scope", answer.JSON["error"], answer.Text)
	role, err := s.Admin().UpdateRole(t.Context(), account.Roles[0].ID, 0, svcauth.RolePatch{Privileges: &names}, 0)
	require.NoError(t, err)
	require.Len(t, role.DefaultRefused, 1)
	require.Equal(t, "claimed", role.DefaultRefused[0].Name)
}
