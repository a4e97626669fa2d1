package access_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func updateRole(f *rules.Fixture, id string, patch svcauth.RolePatch) svcauth.Role {
	f.T.Helper()
	changed, err := f.Access.UpdateRole(f.Admin(), id, 0, patch)
	require.NoError(f.T, err)
	return changed
}

func TestCreateRole(t *testing.T) {
	f := rules.New(t, nil)
	made, err := f.Access.CreateRole(f.Admin(),
		svcauth.NewRole{Name: "Editor", Description: "edits", Privileges: []string{rules.View, rules.Edit, rules.View}})
	require.NoError(t, err)
	require.Equal(t, []string{rules.Edit, rules.View}, made.Privileges)
	got, err := f.Access.Role(f.Admin(), made.ID)
	require.NoError(t, err)
	require.Equal(t, made, got)
	_, err = f.Access.CreateRole(f.Admin(), svcauth.NewRole{Name: "EDITOR"})
	rules.Problem(t, svcauth.CodeConflict, err)
	_, err = f.Access.CreateRole(f.Admin(), svcauth.NewRole{Name: "administrator"})
	rules.Problem(t, svcauth.CodeConflict, err)
	_, err = f.Access.CreateRole(f.Admin(), svcauth.NewRole{Name: "x", Privileges: []string{"no:such"}})
	require.Equal(t, "body.privileges", rules.Problem(t, svcauth.CodeInvalid, err).Errors[0].Location)

	_, author := f.Member("author@example.com", f.Role("Author", svcauth.RolesManage, rules.View))
	_, err = f.Access.CreateRole(author,
		svcauth.NewRole{Name: "x", Privileges: []string{rules.View, rules.Edit, svcauth.MembersManage}})
	require.Equal(t, []string{rules.Edit, svcauth.MembersManage},
		rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.Access.CreateRole(author, svcauth.NewRole{Name: "x", Privileges: []string{rules.View}})
	require.NoError(t, err)
}

// What only the operator's organization has can't be had by a tenant's role.
func TestTenantReachesForTheOperatorsPrivileges(t *testing.T) {
	f := rules.New(t, nil)
	_, stranger := f.Tenants("stranger")
	for _, p := range []string{svcauth.KeysManage, svcauth.OrganizationsManage} {
		_, err := f.Access.CreateRole(stranger, svcauth.NewRole{Name: "x", Privileges: []string{p}})
		rules.Problem(t, svcauth.CodeInvalid, err)
		made, err := f.Access.CreateRole(stranger, svcauth.NewRole{Name: "of " + p})
		require.NoError(t, err)
		_, err = f.Access.UpdateRole(stranger, made.ID, 0, svcauth.RolePatch{Privileges: &[]string{p}})
		rules.Problem(t, svcauth.CodeInvalid, err)
	}
	list, err := f.Access.Roles(stranger, svcauth.ListOptions{})
	require.NoError(t, err)
	for _, r := range list.Items {
		require.NotContains(t, r.Privileges, svcauth.KeysManage)
		require.NotContains(t, r.Privileges, svcauth.OrganizationsManage)
	}
}

func TestRolesList(t *testing.T) {
	f := rules.New(t, nil)
	f.Clock.Advance(time.Second)
	viewer := f.Role("Viewer", rules.View)
	f.Account("one", viewer)
	f.Account("two", viewer)
	f.Member("m@example.com", viewer)
	f.Tenants("stranger")
	for _, privilege := range []string{svcauth.MembersRead, svcauth.RolesManage} {
		list, err := f.Access.Roles(f.Narrow(f.Admin(), privilege), svcauth.ListOptions{})
		require.NoError(t, err)
		require.Len(t, list.Items, 3)
		require.Equal(t, "Viewer", list.Items[0].Name)
		require.Equal(t, 1, list.Items[0].Members)
		require.Equal(t, 2, list.Items[0].ServiceAccounts)
		for _, r := range list.Items[1:] {
			require.True(t, r.System)
			if r.Name == svcauth.RoleAdministrator {
				want := f.All(true)
				slices.Sort(want)
				require.Equal(t, want, r.Privileges, "shown with all that it gives")
			} else {
				require.Equal(t, []string{}, r.Privileges)
			}
		}
	}
	_, err := f.Access.Roles(f.Narrow(f.Admin(), svcauth.MembersManage), svcauth.ListOptions{})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	var names []string
	for o := (svcauth.ListOptions{Limit: 1}); ; {
		list, err := f.Access.Roles(f.Admin(), o)
		require.NoError(t, err)
		names = append(names, list.Items[0].Name)
		if list.NextCursor == nil {
			break
		}
		o.Cursor = *list.NextCursor
	}
	require.ElementsMatch(t, []string{"Viewer", svcauth.RoleAdministrator, svcauth.RolePublic}, names)
}

func TestUpdateRoleVersions(t *testing.T) {
	f := rules.New(t, nil)
	role := f.Role("Editor", rules.View, rules.Edit)
	f.Role("Other")
	text := "what it is for"
	changed, err := f.Access.UpdateRole(f.Admin(), role.ID, 1, svcauth.RolePatch{Description: &text})
	require.NoError(t, err)
	require.EqualValues(t, 2, changed.Version)
	got, err := f.Access.Role(f.Admin(), role.ID)
	require.NoError(t, err)
	require.Equal(t, got, changed)
	_, err = f.Access.UpdateRole(f.Admin(), role.ID, 1, svcauth.RolePatch{Description: &text})
	rules.Problem(t, svcauth.CodePreconditionFailed, err)
	other := "OTHER"
	_, err = f.Access.UpdateRole(f.Admin(), role.ID, 0, svcauth.RolePatch{Name: &other})
	rules.Problem(t, svcauth.CodeConflict, err)
	before := len(f.Audited(f.OrgID(), "role.update"))
	same := updateRole(f, role.ID, svcauth.RolePatch{Name: &role.Name, Privileges: &[]string{rules.Edit, rules.View}})
	require.Equal(t, changed, same)
	require.Len(t, f.Audited(f.OrgID(), "role.update"), before, "what changes nothing is no event")
}

// TestWhatARoleEditKills: exactly the tokens that carry what was taken away.
func TestWhatARoleEditKills(t *testing.T) {
	f := rules.New(t, nil)
	editor, viewer := f.Role("Editor", rules.View, rules.Edit), f.Role("Viewer", rules.View)
	one, two := f.Account("one", editor), f.Account("two", viewer)
	both, narrow, other := f.Token(one.ID), f.Token(one.ID), f.Token(two.ID)
	narrow.Scope = rules.View // a token may ask for less; it carries the role all the same
	tenant, stranger := f.Tenants("stranger")
	theirs, err := f.Access.CreateRole(stranger,
		svcauth.NewRole{Name: "Editor", Privileges: []string{rules.View, rules.Edit}})
	require.NoError(t, err)
	alien, err := f.Access.CreateServiceAccount(stranger,
		svcauth.NewServiceAccount{Name: "one", RoleIDs: []string{theirs.ID}})
	require.NoError(t, err)
	foreign := f.Token(alien.ID)
	require.NotEqual(t, f.OrgID(), tenant.Organization.ID)

	text := "described"
	updateRole(f, editor.ID,
		svcauth.RolePatch{Privileges: &[]string{rules.View, rules.Edit, rules.Create}, Description: &text})
	f.Lives(both, narrow, other, foreign) // adding never kills
	three := f.Token(one.ID)
	require.Contains(t, three.Scope, rules.Create)

	updateRole(f, editor.ID, svcauth.RolePatch{Privileges: &[]string{rules.View, rules.Create}})
	f.Dies(both, three)             // they carry the role and what it lost
	f.Lives(narrow, other, foreign) // without the privilege, without the role, another organization's
	fresh := f.Token(one.ID)
	f.Lives(fresh)
	require.Equal(t, rules.Create+" "+rules.View, fresh.Scope)

	updateRole(f, editor.ID, svcauth.RolePatch{Privileges: &[]string{rules.View, rules.Edit, rules.Create}})
	f.Dies(both, three) // what died stays dead though the privilege is back
	f.Lives(f.Token(one.ID))

	name := "Author"
	updateRole(f, editor.ID, svcauth.RolePatch{Name: &name})
	f.Dies(narrow, fresh) // they carry the old name
	f.Lives(other, foreign, f.Token(one.ID))

	// A new role with the old name does not inherit the death of the old one's
	// tokens.
	again := f.Role("Editor", rules.Edit)
	require.NoError(t,
		rules.Last(f.Access.AssignServiceAccountRole(f.Admin(), two.ID, again.ID, svcauth.GrantRequest{})))
	f.Lives(f.Token(two.ID))
}

func TestDeleteRole(t *testing.T) {
	f := rules.New(t, nil)
	editor, viewer := f.Role("Editor", rules.Edit), f.Role("Viewer", rules.View)
	one, two := f.Account("one", editor, viewer), f.Account("two", viewer)
	dead, alive := f.Token(one.ID), f.Token(two.ID)
	// Who deletes it need not hold what it gives.
	_, author := f.Member("author@example.com", f.Role("Author", svcauth.RolesManage))
	require.NoError(t, f.Access.DeleteRole(author, editor.ID))
	f.Dies(dead)
	f.Lives(alive)
	fresh := f.Token(one.ID)
	f.Lives(fresh)
	require.Equal(t, rules.View, fresh.Scope)
	_, err := f.Access.Role(f.Admin(), editor.ID)
	rules.Problem(t, svcauth.CodeNotFound, err)
	grants, err := f.Access.ServiceAccountRoles(f.Admin(), one.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Len(t, grants.Items, 1)
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteRole(f.Admin(), editor.ID))
}

// TestRoleHolders checks that a caller that edits roles without members:read
// learns how many hold one, and not who they are.
func TestRoleHolders(t *testing.T) {
	f := rules.New(t, nil)
	viewer := f.Role("Viewer", rules.View)
	f.Account("nightly", viewer)
	f.Member("ann@example.com", viewer)
	_, reader := f.Member("reader@example.com", f.Role("Reader", svcauth.RolesManage, svcauth.MembersRead))
	got, err := f.Access.RoleHolders(reader, viewer.ID)
	require.NoError(t, err)
	require.Zero(t, got.More)
	require.Len(t, got.Holders, 2)
	require.Equal(t, "ann@example.com", got.Holders[0].Name)
	require.Equal(t, []string{rules.View}, got.Holders[0].Loses)

	_, author := f.Member("author@example.com", f.Role("Author", svcauth.RolesManage))
	got, err = f.Access.RoleHolders(author, viewer.ID)
	require.NoError(t, err)
	require.Equal(t, access.RoleHolders{More: 2}, got)
}

// TestEscalationByEditingARole checks that nobody widens a role, their own
// least of all, with what they do not hold.
func TestEscalationByEditingARole(t *testing.T) {
	f := rules.New(t, nil)
	mine := f.Role("Author", svcauth.RolesManage, rules.View)
	rich := f.Role("Editor", rules.View, rules.Edit)
	id, author := f.Member("author@example.com", mine)
	_, err := f.Access.UpdateRole(author, mine.ID,
		0, svcauth.RolePatch{Privileges: &[]string{svcauth.RolesManage, rules.View, rules.Edit}})
	require.Equal(t, []string{rules.Edit}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	require.NotContains(t, f.Held(f.OrgID(), id), rules.Edit)
	_, err = f.Access.UpdateRole(author, f.System(f.OrgID(), store.RolePublic).ID, 0,
		svcauth.RolePatch{Privileges: &[]string{rules.Edit}})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	// With a narrow token one does not hand on what one's account holds
	// otherwise.
	_, err = f.Access.UpdateRole(f.Narrow(f.Admin(), svcauth.RolesManage), mine.ID, 0,
		svcauth.RolePatch{Privileges: &[]string{svcauth.RolesManage, rules.View, rules.Edit}})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	// A privilege that stays on the role is not handed over anew, and what is
	// taken off need not be held.
	_, err = f.Access.UpdateRole(author, rich.ID, 0, svcauth.RolePatch{Privileges: &[]string{rules.Edit}})
	require.NoError(t, err)
	// A new name hands over what has it: whoever assigns by name next means
	// another role.
	name := "Writer"
	_, err = f.Access.UpdateRole(author, rich.ID, 0, svcauth.RolePatch{Name: &name})
	require.Equal(t, []string{rules.Edit}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.Access.UpdateRole(author, rich.ID, 0, svcauth.RolePatch{Privileges: &[]string{}})
	require.NoError(t, err)
}

func TestSystemRoles(t *testing.T) {
	f := rules.New(t, nil)
	admin, public := f.System(f.OrgID(), store.RoleAdministrator), f.System(f.OrgID(), store.RolePublic)
	name, text, none := "Root", "described", []string{}
	for _, patch := range []svcauth.RolePatch{{Name: &name}, {Description: &text}, {Privileges: &none}} {
		_, err := f.Access.UpdateRole(f.Admin(), admin.ID, 0, patch)
		rules.Problem(t, svcauth.CodeForbidden, err)
	}
	_, err := f.Access.UpdateRole(f.Admin(), public.ID, 0, svcauth.RolePatch{Name: &name})
	rules.Problem(t, svcauth.CodeForbidden, err)
	rules.Problem(t, svcauth.CodeForbidden, f.Access.DeleteRole(f.Admin(), admin.ID))
	rules.Problem(t, svcauth.CodeForbidden, f.Access.DeleteRole(f.Admin(), public.ID))

	account := f.Account("ci")
	plain := f.Token(account.ID)
	require.Empty(t, plain.Roles)
	updateRole(f, public.ID, svcauth.RolePatch{Description: &text, Privileges: &[]string{rules.View}})
	token := f.Token(account.ID)
	require.Equal(t, rules.View, token.Scope, "everyone has it now")
	f.Lives(plain, token)
	updateRole(f, public.ID, svcauth.RolePatch{Privileges: &none})
	f.Dies(token)
	f.Lives(plain)
}
