package server_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Whoever makes or changes an account so that it gets no token by default hears
// so in the answer, and so does a member who makes such an application key.
func TestAnswersSayThatAnAccountGetsNoTokenByDefault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	tornCatalog(t, file, "{}")
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_CATALOG_FILE=" + file}})
	admin := s.Admin()
	roles := []string{s.Account("a", "a:see").Roles[0].ID, s.Account("b", "b:see").Roles[0].ID}
	update := func(id string, patch svcauth.ServiceAccountPatch) []svcauth.DefaultWarning {
		t.Helper()
		changed, err := admin.UpdateServiceAccount(t.Context(), id, 0, patch, 0)
		require.NoError(t, err)
		return changed.DefaultRefused
	}
	torn := func(warnings []svcauth.DefaultWarning, name string) {
		t.Helper()
		require.Equal(t, []string{name}, namesOf(warnings))
		require.Equal(t, svcauth.ReasonProfiles, warnings[0].Reason)
		require.Equal(t, []string{tornA, tornB}, warnings[0].Resources[:2])
	}

	made, err := admin.CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{Name: "torn", RoleIDs: roles})
	require.NoError(t, err)
	torn(made.DefaultRefused, "torn")
	whole, err := admin.CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{
		Name: "whole", RoleIDs: roles, DefaultResource: tornA,
	})
	require.NoError(t, err)
	require.Empty(t, whole.DefaultRefused)

	require.Empty(t, update(whole.ID, svcauth.ServiceAccountPatch{Description: new("what for")}))
	torn(update(whole.ID, svcauth.ServiceAccountPatch{DefaultResource: new("")}), "whole")
	require.Empty(t, update(whole.ID, svcauth.ServiceAccountPatch{Disabled: new(true)}), "it gets no token at all")
	torn(update(whole.ID, svcauth.ServiceAccountPatch{Disabled: new(false)}), "whole")
	require.Empty(t, update(whole.ID, svcauth.ServiceAccountPatch{DefaultResource: new(tornB)}))
	read, err := admin.ServiceAccount(t.Context(), made.ID)
	require.NoError(t, err)
	require.Empty(t, read.DefaultRefused, "only in answers to changes")

	key, err := admin.CreateApplicationKey(t.Context(), svcauth.NewApplicationKey{})
	require.NoError(t, err)
	torn(key.DefaultRefused, svctest.AdminEmail)

	// What everybody may do, a new account may do from the first.
	public := svcauth.RolePatch{Privileges: &[]string{"a:see", "b:see"}}
	for role, err := range svcauth.All(t.Context(), admin.Roles, svcauth.ListOptions{}) {
		require.NoError(t, err)
		if role.Name == "Public" {
			_, err = admin.UpdateRole(t.Context(), role.ID, 0, public, 0)
			require.NoError(t, err)
		}
	}
	bare, err := admin.CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{Name: "bare"})
	require.NoError(t, err)
	torn(bare.DefaultRefused, "bare")
}
