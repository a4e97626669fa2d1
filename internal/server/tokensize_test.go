package server_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// largeCatalog writes a catalogue of one API with so many privileges.
func largeCatalog(t *testing.T, privileges int) string {
	t.Helper()
	text := "apis:\n  - audience: https://large.example\n    name: Large\n    description: Many privileges\n " +
		"   privileges:\n"
	for i := range privileges {
		text += fmt.Sprintf("      - {name: \"privileges-of-some-length%03d:view\", title: T, description: D}\n", i)
	}
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// No token is issued that our own endpoints could not take: an administrator
// whose default token would be too long asks for less, and all that our own
// programs ask for is small.
func TestNoTokenIsIssuedThatNobodyTakes(t *testing.T) {
	catalog := "SVCAUTH_CATALOG_FILE=" + largeCatalog(t, 500)
	s := svctest.New(t, svctest.Options{Environ: []string{catalog}})
	key := s.Tenant.ApplicationKey
	answer := s.Post("/oauth2/token", key.ClientID, key.ClientSecret, grantForm)
	require.Equal(t, 400, answer.Status)
	require.Equal(t, "invalid_scope", answer.JSON["error"])
	for _, word := range []string{"scope", "resource", "7000", "token.max_size"} {
		require.Contains(t, answer.JSON["error_description"], word)
	}
	narrow := s.Token(key.ClientID, key.ClientSecret,
		"privileges-of-some-length001:view privileges-of-some-length499:view")
	require.Less(t, len(narrow), 1000)

	// The whole of the management API by a small token.
	own := s.OwnToken(key.ClientID, key.ClientSecret)
	require.Less(t, len(own), 1500)
	var names []string
	for i := range 500 {
		names = append(names, fmt.Sprintf("privileges-of-some-length%03d:view", i))
	}
	role, err := s.Admin().CreateRole(t.Context(), svcauth.NewRole{Name: "All", Privileges: names})
	require.NoError(t, err, "it hands over what its holder holds, whatever the token carries")
	require.Len(t, role.Privileges, 500)

	explained, err := s.Admin().Explain(t.Context(), svcauth.ExplainRequest{ClientID: key.ClientID})
	require.NoError(t, err)
	require.False(t, explained.Allowed)
	require.Contains(t, fmt.Sprint(explained.Steps), "token.max_size", "explain says why there is no token")
}

// The largest token that can be issued is taken wherever ours are shown.
func TestLargestTokenIsTakenEverywhere(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_CATALOG_FILE=" + largeCatalog(t, 500),
		fmt.Sprintf("SVCAUTH_TOKEN_MAX_SIZE=%d", svcauth.MaxTokenSize)}})
	var names []string
	for i := range 300 {
		names = append(names, fmt.Sprintf("privileges-of-some-length%03d:view", i))
	}
	account := s.Account("large", append(names, svcauth.MembersRead, svcauth.TokensIntrospect)...)
	ask := func() svctest.Answer {
		return s.Post("/oauth2/token", account.ClientID, account.ClientSecret,
			url.Values{"grant_type": {"client_credentials"}, "resource": {s.Issuer, "https://large.example"}})
	}
	n, answer := len(names), ask()
	for ; answer.Status != 200; answer = ask() {
		n--
		privileges := append(names[:n:n], svcauth.MembersRead, svcauth.TokensIntrospect)
		_, err := s.App.Access.UpdateRole(s.System(), account.Roles[0].ID,
			0, svcauth.RolePatch{Privileges: &privileges})
		require.NoError(t, err)
	}
	require.Less(t, n, len(names), "the bound was met")
	token := answer.JSON["access_token"].(string)
	require.Greater(t, len(token), svcauth.MaxTokenSize-100)
	require.LessOrEqual(t, len(token), svcauth.MaxTokenSize)
	require.Equal(t, 200, s.Get("/v1/me", token).Status)
	require.Equal(t, 200, s.Get("/oauth2/revocations", token).Status)
	require.True(t, s.Active(account.ClientID, account.ClientSecret, token))
	answer = s.Post("/oauth2/revoke", "", "", url.Values{"token": {token}, "token_type_hint": {"access_token"},
		"client_id": {account.ClientID}, "client_secret": {account.ClientSecret.Reveal()}})
	require.Equal(t, 200, answer.Status, answer.Text)
	require.False(t, s.Active(account.ClientID, account.ClientSecret, token))
}
