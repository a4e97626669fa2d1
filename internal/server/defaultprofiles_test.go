package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Accounts whose roles are of APIs with different profiles, and that have no
// default resource, are named where that comes about: by a grant, by a change
// of a role, and at the catalogue's load, with those whose default resource is
// gone.
func TestAccountsWithoutADefaultTokenAreNamed(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { tornAreNamed(t, svctest.Options{}) })
	t.Run("PostgreSQL", func(t *testing.T) { tornAreNamed(t, svctest.Options{Postgres: true}) })
}

const (
	tornA, tornB, tornC = "https://a.example", "https://b.example", "https://c.example"
)

// tornCatalog writes a catalogue of three APIs, of which two have one form.
func tornCatalog(t *testing.T, file string, ofB string) {
	var text strings.Builder
	text.WriteString("apis:\n")
	spring := "{preset: spring}"
	for _, api := range [][3]string{{"a", tornA, spring}, {"b", tornB, ofB}, {"c", tornC, spring}} {
		fmt.Fprintf(&text, "  - {audience: '%s', name: %s, profile: %s, privileges: [{name: '%s:see', title: T}]}\n",
			api[1], api[0], api[2], api[0])
	}
	require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o600))
}

func tornAreNamed(t *testing.T, opts svctest.Options) {
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	tornCatalog(t, file, "{}")
	opts.Environ = []string{"SVCAUTH_CATALOG_FILE=" + file}
	s := svctest.New(t, opts)
	one, two := s.Account("one", "a:see"), s.Account("two", "b:see")
	same := s.Account("same", "a:see", "c:see")
	roleOf := func(a svcauth.ServiceAccount) string { return a.Roles[0].ID }
	give := func(a svcauth.ServiceAccount, roleID string) []svcauth.DefaultWarning {
		answer, err := s.Admin().AssignServiceAccountRole(t.Context(), a.ID, roleID, svcauth.GrantRequest{})
		require.NoError(t, err)
		return answer.DefaultRefused
	}
	status := func(a svcauth.ServiceAccount) int {
		return s.Post("/oauth2/token", a.ClientID, a.ClientSecret, grantForm).Status
	}

	require.Empty(t, give(one, roleOf(same)), "one form")
	require.Equal(t, 200, status(one))
	strictly := func() error {
		_, err := s.Admin().AssignServiceAccountRole(t.Context(), one.ID, roleOf(two),
			svcauth.GrantRequest{Caution: svcauth.Caution{Strict: true}})
		return err
	}
	var stops *svcauth.Problem
	require.ErrorAs(t, strictly(), &stops)
	require.Len(t, stops.Warnings(), 1)
	require.Contains(t, stops.Detail, "The service account one gets no token without a resource")
	require.Equal(t, 200, status(one), "it is warned before anything stops")
	held, err := s.Admin().ServiceAccountRoles(t.Context(), one.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Len(t, held.Items, 2)
	warned := give(one, roleOf(two))
	require.Len(t, warned, 1)
	require.Equal(t, one.ID, warned[0].ID)
	require.Equal(t, svcauth.ReasonProfiles, warned[0].Reason)
	require.Equal(t, []string{tornA, tornB, tornC}, warned[0].Resources)
	require.Contains(t, warned[0].String(), "The service account one gets no token without a resource")
	require.Contains(t, warned[0].String(), "default_resource")
	require.Equal(t, 400, status(one), "as it says")
	require.NoError(t, strictly(), "who gets none already is not stopped")

	// A role that all of them hold comes to be of a second form.
	privileges := []string{"a:see", "b:see"}
	changed, err := s.Admin().UpdateRole(t.Context(), roleOf(same), 0, svcauth.RolePatch{Privileges: &privileges}, 0)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"one", "same"}, namesOf(changed.DefaultRefused))

	// A default resource decides.
	resource := tornB
	_, err = s.Admin().UpdateServiceAccount(t.Context(), one.ID, 0,
		svcauth.ServiceAccountPatch{DefaultResource: &resource}, 0)
	require.NoError(t, err)
	require.Equal(t, 200, status(one))
	privileges = append(privileges, "c:see")
	changed, err = s.Admin().UpdateRole(t.Context(), roleOf(same), 0, svcauth.RolePatch{Privileges: &privileges}, 0)
	require.NoError(t, err)
	require.Equal(t, []string{"same"}, namesOf(changed.DefaultRefused))

	// By what everybody may, another is torn.
	roles, err := s.Admin().Roles(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)
	i := slices.IndexFunc(roles.Items, func(r svcauth.Role) bool { return r.Name == "Public" })
	require.GreaterOrEqual(t, i, 0)
	public := []string{"a:see"}
	changed, err = s.Admin().UpdateRole(t.Context(), roles.Items[i].ID, 0, svcauth.RolePatch{Privileges: &public}, 0)
	require.NoError(t, err)
	require.Contains(t, namesOf(changed.DefaultRefused), "two")

	// The next start has a catalogue without that default resource.
	s.Stop()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), tornB, "https://d.example")), 0o600))
	s.Start()
	require.Eventually(t, func() bool {
		_, since, _ := strings.Cut(s.Log(), `"msg":"stopped"`)
		gone, torn := false, false
		for line := range strings.Lines(since) {
			gone = gone || strings.Contains(line, one.ID) && strings.Contains(line, `"reason":"default_resource"`)
			torn = torn || strings.Contains(line, same.ID) && strings.Contains(line, `"reason":"profiles"`)
		}
		return gone && torn
	}, patience, tick)
	answer := s.Post("/oauth2/token", one.ClientID, one.ClientSecret, grantForm)
	require.Equal(t, "invalid_target", answer.JSON["error"])
	require.Contains(t, answer.JSON["error_description"], "'"+tornB+"' is no API of the catalogue any more")
}

func namesOf(warnings []svcauth.DefaultWarning) (names []string) {
	for _, w := range warnings {
		names = append(names, w.Name)
	}
	return names
}
