package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A grant's answer names the secret whose maker lacks what the account gains;
// one that has nothing to say has no body.
func TestAGrantsAnswerNamesKeptSecrets(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	on := true
	_, err := s.Admin().UpdateOrganization(t.Context(),
		0, svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: &on})
	require.NoError(t, err)
	maker := s.Account("maker", svcauth.MembersManage, svcauth.MembersRead)
	made, err := s.Client(maker.ClientID, maker.ClientSecret).CreateServiceAccount(t.Context(),
		svcauth.NewServiceAccount{Name: "ci"})
	require.NoError(t, err)
	require.Equal(t, svcauth.Creator{ID: maker.ID, Email: "maker"}, made.Secrets[0].CreatedBy)
	role, err := s.Admin().CreateRole(t.Context(),
		svcauth.NewRole{Name: "Editor", Privileges: []string{"clusters:edit"}})
	require.NoError(t, err)
	answer, err := s.Admin().AssignServiceAccountRole(t.Context(), made.ID, role.ID, svcauth.GrantRequest{})
	require.NoError(t, err)
	require.Len(t, answer.Warnings, 1)
	require.Equal(t, made.Secrets[0].ID, answer.Warnings[0].CredentialID)
	require.Equal(t, []string{"clusters:edit"}, answer.Warnings[0].Missing)
	changed, err := s.Admin().UpdateRole(t.Context(), role.ID,
		0, svcauth.RolePatch{Privileges: &[]string{"clusters:edit", "clusters:view"}}, 0)
	require.NoError(t, err)
	require.Len(t, changed.Warnings, 1)
	own, err := s.Admin().CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{Name: "own"})
	require.NoError(t, err)
	answer, err = s.Admin().AssignServiceAccountRole(t.Context(), own.ID, role.ID, svcauth.GrantRequest{})
	require.NoError(t, err)
	require.Empty(t, answer.Warnings)
}
