package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Accounts whose token would be too long are named where that comes about: by a
// change of a role, a grant, and the catalogue's load.
func TestAccountsWithTooLongTokensAreNamed(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { defaultRefusedAreNamed(t, svctest.Options{}) })
	t.Run("PostgreSQL", func(t *testing.T) { defaultRefusedAreNamed(t, svctest.Options{Postgres: true}) })
}

func defaultRefusedAreNamed(t *testing.T, opts svctest.Options) {
	opts.Environ = []string{"SVCAUTH_CATALOG_FILE=" + largeCatalog(t, 500)}
	s := svctest.New(t, opts)
	var names []string
	for i := range 500 {
		names = append(names, fmt.Sprintf("privileges-of-some-length%03d:view", i))
	}
	small, large := s.Account("small", names[0]), s.Account("large", names[1])
	roleOf := func(a svcauth.ServiceAccount) string { return a.Roles[0].ID }
	change := func(a svcauth.ServiceAccount, privileges ...string) svcauth.Role {
		role, err := s.Admin().UpdateRole(t.Context(), roleOf(a), 0, svcauth.RolePatch{Privileges: &privileges}, 0)
		require.NoError(t, err)
		return role
	}
	require.Empty(t, change(small, names[:50]...).DefaultRefused)
	changed := change(large, names[50:]...)
	require.Len(t, changed.DefaultRefused, 1)
	w := changed.DefaultRefused[0]
	require.Equal(t, "large", w.Name)
	require.Equal(t, large.ID, w.ID)
	require.Equal(t, 7000, w.Max)
	require.Contains(t, w.String(), "by scope or resource")
	answer := s.Post("/oauth2/token", large.ClientID, large.ClientSecret, grantForm)
	require.Contains(t, answer.JSON["error_description"], fmt.Sprintf("would have %d characters", w.Characters),
		"as the refusal counts")

	given, err := s.Admin().AssignServiceAccountRole(t.Context(), small.ID, roleOf(large), svcauth.GrantRequest{})
	require.NoError(t, err)
	require.Len(t, given.DefaultRefused, 1)
	require.Equal(t, "small", given.DefaultRefused[0].Name)
	require.Len(t, change(large, names[40:]...).DefaultRefused, 2)

	// Names alone make long tokens too, and a token that is just short enough
	// is not named.
	var ids []string
	for i := range 30 {
		role, err := s.App.Access.CreateRole(s.System(),
			svcauth.NewRole{Name: fmt.Sprintf("%02d %s", i, strings.Repeat("名", 61))})
		require.NoError(t, err)
		ids = append(ids, role.ID)
	}
	named, err := s.App.Access.CreateServiceAccount(s.System(), svcauth.NewServiceAccount{Name: "named", RoleIDs: ids})
	require.NoError(t, err)
	require.Equal(t, 400, s.Post("/oauth2/token", named.ClientID, named.ClientSecret, grantForm).Status)

	// The next start tells the log of all: these, and the administrator's keys.
	s.Stop()
	s.Start()
	told := map[string]float64{}
	require.Eventually(t, func() bool {
		clear(told)
		_, since, _ := strings.Cut(s.Log(), `"msg":"stopped"`)
		for line := range strings.Lines(since) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) == nil && entry["max_size"] != nil {
				told[entry["account"].(string)] = entry["characters"].(float64)
			}
		}
		return len(told) == 4
	}, patience, tick, "%v", told)
	require.Contains(t, told, s.Tenant.AdminID)
	require.Contains(t, told, named.ID)
}
