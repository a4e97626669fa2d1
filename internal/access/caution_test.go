package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// revoked counts what it is told of.
type revoked map[string]int

// Revoked implements [access.RevocationObserver].
func (r revoked) Revoked(kind string) { r[kind]++ }

// Credentials that could use what their makers lack are warned of before a
// grant, a change of a role and the enabling of an account; who may not see
// accounts is told how many there are.
func TestCredentialsThatOthersMadeAreWarnedOfBefore(t *testing.T) {
	f := rules.New(t, nil)
	viewer, editor := f.Role("Viewer", rules.View), f.Role("Editor", rules.Edit)
	_, ann := f.Member("ann@example.com", f.Role("Manager", svcauth.MembersRead, svcauth.MembersManage, rules.View))
	_, author := f.Member("author@example.com", f.Role("Author", svcauth.RolesManage, rules.View, rules.Create))
	account, err := f.Access.CreateServiceAccount(ann,
		svcauth.NewServiceAccount{Name: "ci", RoleIDs: []string{viewer.ID}})
	require.NoError(t, err)
	warned := func(err error) string {
		t.Helper()
		var p *svcauth.Problem
		require.ErrorAs(t, err, &p)
		require.Len(t, p.Warnings(), 1, p.Detail)
		return p.Warnings()[0]
	}
	strict, dry := svcauth.Caution{Strict: true}, svcauth.Caution{DryRun: true}
	const kept = "was made by ann@example.com, who does not hold "
	for _, c := range []svcauth.Caution{strict, dry} {
		_, err = f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID, svcauth.GrantRequest{Caution: c})
		require.Contains(t, warned(err), kept+rules.Edit)
		patch := svcauth.RolePatch{Privileges: &[]string{rules.View, rules.Create}, Caution: c}
		_, err = f.Access.UpdateRole(f.Admin(), viewer.ID, 0, patch)
		require.Contains(t, warned(err), kept+rules.Create)
		_, err = f.Access.UpdateRole(author, viewer.ID, 0, patch)
		require.Equal(t, "Credentials that are not named here, of accounts that hold the role, were made by who does "+
			"not hold what it gains: 1.", warned(err))
	}
	role, err := f.Access.Role(f.Admin(), viewer.ID)
	require.NoError(t, err)
	require.Equal(t, []string{rules.View}, role.Privileges)
	_, err = f.Access.AssignServiceAccountRole(ann, account.ID, viewer.ID, svcauth.GrantRequest{Caution: strict})
	require.NoError(t, err, "the same grant again")

	_, err = f.Access.AssignServiceAccountRole(f.Admin(), account.ID, editor.ID, svcauth.GrantRequest{})
	require.NoError(t, err)
	disable := func(disabled bool, c svcauth.Caution) error {
		_, err := f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0,
			svcauth.ServiceAccountPatch{Disabled: &disabled, Caution: c})
		return err
	}
	require.NoError(t, disable(true, strict))
	require.Contains(t, warned(disable(false, strict)), kept+rules.Edit)
	require.NoError(t, disable(false, svcauth.Caution{}))
}

// What is rolled back is told to nobody, and takes nothing of what an
// organization's roles may take away: neither a dry run, nor a strict change
// that is refused.
func TestADryRunIsToldToNobody(t *testing.T) {
	told := revoked{}
	f := rules.New(t, func(c *rules.Config) { c.Access.Observer = told })
	role := f.Role("Wide", rules.View, rules.Edit)
	narrow := func(c svcauth.Caution) error {
		_, err := f.Access.UpdateRole(f.Admin(), role.ID, 0,
			svcauth.RolePatch{Privileges: &[]string{rules.View}, Caution: c})
		return err
	}
	for range 2*svcauth.MaxRolesPerOrg + 1 { // more than may take something away at once
		require.ErrorContains(t, narrow(svcauth.Caution{DryRun: true}), "nothing was changed")
	}
	_, ann := f.Member("ann@example.com", f.Role("Lead", svcauth.MembersManage, rules.View, rules.Edit))
	_, err := f.Access.CreateServiceAccount(ann,
		svcauth.NewServiceAccount{Name: "ci", RoleIDs: []string{role.ID}})
	require.NoError(t, err)
	for range 2*svcauth.MaxRolesPerOrg + 1 {
		_, err := f.Access.UpdateRole(f.Admin(), role.ID, 0, svcauth.RolePatch{
			Privileges: &[]string{rules.View, rules.Create}, Caution: svcauth.Caution{Strict: true}})
		require.ErrorContains(t, err, "Nothing was changed")
		require.NotContains(t, err.Error(), "too often")
	}
	require.Empty(t, told)
	require.NoError(t, narrow(svcauth.Caution{Strict: true}))
	require.Equal(t, revoked{"role": 1}, told)
}
