package access_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (f *fixture) updateRole(id string, patch svcauth.RolePatch) svcauth.Role {
	f.T.Helper()
	changed, err := f.Access.UpdateRole(f.Admin(), id, 0, patch)
	require.NoError(f.T, err)
	return changed
}

func TestCreateRole(t *testing.T) {
	f := newFixture(t, nil)
	made, err := f.Access.CreateRole(f.Admin(),
		svcauth.NewRole{Name: "Editor", Description: "edits", Privileges: []string{view, edit, view}})
	require.NoError(t, err)
	require.Equal(t, []string{edit, view}, made.Privileges)
	got, err := f.Access.Role(f.Admin(), made.ID)
	require.NoError(t, err)
	require.Equal(t, made, got)
	_, err = f.Access.CreateRole(f.Admin(), svcauth.NewRole{Name: "EDITOR"})
	problem(t, svcauth.CodeConflict, err)
	_, err = f.Access.CreateRole(f.Admin(), svcauth.NewRole{Name: "administrator"})
	problem(t, svcauth.CodeConflict, err)
	_, err = f.Access.CreateRole(f.Admin(), svcauth.NewRole{Name: "x", Privileges: []string{"no:such"}})
	require.Equal(t, "body.privileges", problem(t, svcauth.CodeInvalid, err).Errors[0].Location)

	_, author := f.Member("author@example.com", f.Role("Author", svcauth.RolesManage, view))
	_, err = f.Access.CreateRole(author,
		svcauth.NewRole{Name: "x", Privileges: []string{view, edit, svcauth.MembersManage}})
	require.Equal(t, []string{edit, svcauth.MembersManage}, problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.Access.CreateRole(author, svcauth.NewRole{Name: "x", Privileges: []string{view}})
	require.NoError(t, err)
}

// What only the operator's organization has can't be had by a tenant's role.
func TestTenantReachesForTheOperatorsPrivileges(t *testing.T) {
	f := newFixture(t, nil)
	_, stranger := f.Tenants("stranger")
	for _, p := range []string{svcauth.KeysManage, svcauth.OrganizationsManage} {
		_, err := f.Access.CreateRole(stranger, svcauth.NewRole{Name: "x", Privileges: []string{p}})
		problem(t, svcauth.CodeInvalid, err)
		made, err := f.Access.CreateRole(stranger, svcauth.NewRole{Name: "of " + p})
		require.NoError(t, err)
		_, err = f.Access.UpdateRole(stranger, made.ID, 0, svcauth.RolePatch{Privileges: &[]string{p}})
		problem(t, svcauth.CodeInvalid, err)
	}
	list, err := f.Access.Roles(stranger, svcauth.ListOptions{})
	require.NoError(t, err)
	for _, r := range list.Items {
		require.NotContains(t, r.Privileges, svcauth.KeysManage)
		require.NotContains(t, r.Privileges, svcauth.OrganizationsManage)
	}
}

func TestRolesList(t *testing.T) {
	f := newFixture(t, nil)
	f.Clock.Advance(time.Second)
	viewer := f.Role("Viewer", view)
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
	problem(t, svcauth.CodeMissingPrivileges, err)
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
	f := newFixture(t, nil)
	role := f.Role("Editor", view, edit)
	f.Role("Other")
	text := "what it is for"
	changed, err := f.Access.UpdateRole(f.Admin(), role.ID, 1, svcauth.RolePatch{Description: &text})
	require.NoError(t, err)
	require.EqualValues(t, 2, changed.Version)
	got, err := f.Access.Role(f.Admin(), role.ID)
	require.NoError(t, err)
	require.Equal(t, got, changed)
	_, err = f.Access.UpdateRole(f.Admin(), role.ID, 1, svcauth.RolePatch{Description: &text})
	problem(t, svcauth.CodePreconditionFailed, err)
	other := "OTHER"
	_, err = f.Access.UpdateRole(f.Admin(), role.ID, 0, svcauth.RolePatch{Name: &other})
	problem(t, svcauth.CodeConflict, err)
	before := len(f.Audited(f.OrgID(), "role.update"))
	same := f.updateRole(role.ID, svcauth.RolePatch{Name: &role.Name, Privileges: &[]string{edit, view}})
	require.Equal(t, changed, same)
	require.Len(t, f.Audited(f.OrgID(), "role.update"), before, "what changes nothing is no event")
}

// TestWhatARoleEditKills: exactly the tokens that carry what was taken away.
func TestWhatARoleEditKills(t *testing.T) {
	f := newFixture(t, nil)
	editor, viewer := f.Role("Editor", view, edit), f.Role("Viewer", view)
	one, two := f.Account("one", editor), f.Account("two", viewer)
	both, narrow, other := f.Token(one.ID), f.Token(one.ID), f.Token(two.ID)
	narrow.Scope = view // a token may ask for less; it carries the role all the same
	tenant, stranger := f.Tenants("stranger")
	theirs, err := f.Access.CreateRole(stranger, svcauth.NewRole{Name: "Editor", Privileges: []string{view, edit}})
	require.NoError(t, err)
	alien, err := f.Access.CreateServiceAccount(stranger,
		svcauth.NewServiceAccount{Name: "one", RoleIDs: []string{theirs.ID}})
	require.NoError(t, err)
	foreign := f.Token(alien.ID)
	require.NotEqual(t, f.OrgID(), tenant.Organization.ID)

	text := "described"
	f.updateRole(editor.ID, svcauth.RolePatch{Privileges: &[]string{view, edit, create}, Description: &text})
	f.Lives(both, narrow, other, foreign) // adding never kills
	three := f.Token(one.ID)
	require.Contains(t, three.Scope, create)

	f.updateRole(editor.ID, svcauth.RolePatch{Privileges: &[]string{view, create}})
	f.Dies(both, three)             // they carry the role and what it lost
	f.Lives(narrow, other, foreign) // without the privilege, without the role, another organization's
	fresh := f.Token(one.ID)
	f.Lives(fresh)
	require.Equal(t, create+" "+view, fresh.Scope)

	f.updateRole(editor.ID, svcauth.RolePatch{Privileges: &[]string{view, edit, create}})
	f.Dies(both, three) // what died stays dead though the privilege is back
	f.Lives(f.Token(one.ID))

	name := "Author"
	f.updateRole(editor.ID, svcauth.RolePatch{Name: &name})
	f.Dies(narrow, fresh) // they carry the old name
	f.Lives(other, foreign, f.Token(one.ID))

	// A new role with the old name does not inherit the death of the old one's
	// tokens.
	again := f.Role("Editor", edit)
	require.NoError(t, last(f.Access.AssignServiceAccountRole(f.Admin(), two.ID, again.ID, svcauth.GrantRequest{})))
	f.Lives(f.Token(two.ID))
}

func TestDeleteRole(t *testing.T) {
	f := newFixture(t, nil)
	editor, viewer := f.Role("Editor", edit), f.Role("Viewer", view)
	one, two := f.Account("one", editor, viewer), f.Account("two", viewer)
	dead, alive := f.Token(one.ID), f.Token(two.ID)
	// Who deletes it need not hold what it gives.
	_, author := f.Member("author@example.com", f.Role("Author", svcauth.RolesManage))
	require.NoError(t, f.Access.DeleteRole(author, editor.ID))
	f.Dies(dead)
	f.Lives(alive)
	fresh := f.Token(one.ID)
	f.Lives(fresh)
	require.Equal(t, view, fresh.Scope)
	_, err := f.Access.Role(f.Admin(), editor.ID)
	problem(t, svcauth.CodeNotFound, err)
	grants, err := f.Access.ServiceAccountRoles(f.Admin(), one.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Len(t, grants.Items, 1)
	problem(t, svcauth.CodeNotFound, f.Access.DeleteRole(f.Admin(), editor.ID))
}

// TestRoleHolders checks that a caller that edits roles without members:read
// learns how many hold one, and not who they are.
func TestRoleHolders(t *testing.T) {
	f := newFixture(t, nil)
	viewer := f.Role("Viewer", view)
	f.Account("nightly", viewer)
	f.Member("ann@example.com", viewer)
	_, reader := f.Member("reader@example.com", f.Role("Reader", svcauth.RolesManage, svcauth.MembersRead))
	got, err := f.Access.RoleHolders(reader, viewer.ID)
	require.NoError(t, err)
	require.Zero(t, got.More)
	require.Len(t, got.Holders, 2)
	require.Equal(t, "ann@example.com", got.Holders[0].Name)
	require.Equal(t, []string{view}, got.Holders[0].Loses)

	_, author := f.Member("author@example.com", f.Role("Author", svcauth.RolesManage))
	got, err = f.Access.RoleHolders(author, viewer.ID)
	require.NoError(t, err)
	require.Equal(t, access.RoleHolders{More: 2}, got)
}

// TestEscalationByEditingARole checks that nobody widens a role, their own
// least of all, with what they do not hold.
func TestEscalationByEditingARole(t *testing.T) {
	f := newFixture(t, nil)
	mine := f.Role("Author", svcauth.RolesManage, view)
	rich := f.Role("Editor", view, edit)
	id, author := f.Member("author@example.com", mine)
	_, err := f.Access.UpdateRole(author, mine.ID,
		0, svcauth.RolePatch{Privileges: &[]string{svcauth.RolesManage, view, edit}})
	require.Equal(t, []string{edit}, problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	require.NotContains(t, f.Held(f.OrgID(), id), edit)
	_, err = f.Access.UpdateRole(author, f.System(f.OrgID(), store.RolePublic).ID, 0,
		svcauth.RolePatch{Privileges: &[]string{edit}})
	problem(t, svcauth.CodeMissingPrivileges, err)
	// With a narrow token one does not hand on what one's account holds
	// otherwise.
	_, err = f.Access.UpdateRole(f.Narrow(f.Admin(), svcauth.RolesManage), mine.ID, 0,
		svcauth.RolePatch{Privileges: &[]string{svcauth.RolesManage, view, edit}})
	problem(t, svcauth.CodeMissingPrivileges, err)
	// A privilege that stays on the role is not handed over anew, and what is
	// taken off need not be held.
	_, err = f.Access.UpdateRole(author, rich.ID, 0, svcauth.RolePatch{Privileges: &[]string{edit}})
	require.NoError(t, err)
	// A new name hands over what has it: whoever assigns by name next means
	// another role.
	name := "Writer"
	_, err = f.Access.UpdateRole(author, rich.ID, 0, svcauth.RolePatch{Name: &name})
	require.Equal(t, []string{edit}, problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.Access.UpdateRole(author, rich.ID, 0, svcauth.RolePatch{Privileges: &[]string{}})
	require.NoError(t, err)
}

func TestSystemRoles(t *testing.T) {
	f := newFixture(t, nil)
	admin, public := f.System(f.OrgID(), store.RoleAdministrator), f.System(f.OrgID(), store.RolePublic)
	name, text, none := "Root", "described", []string{}
	for _, patch := range []svcauth.RolePatch{{Name: &name}, {Description: &text}, {Privileges: &none}} {
		_, err := f.Access.UpdateRole(f.Admin(), admin.ID, 0, patch)
		problem(t, svcauth.CodeForbidden, err)
	}
	_, err := f.Access.UpdateRole(f.Admin(), public.ID, 0, svcauth.RolePatch{Name: &name})
	problem(t, svcauth.CodeForbidden, err)
	problem(t, svcauth.CodeForbidden, f.Access.DeleteRole(f.Admin(), admin.ID))
	problem(t, svcauth.CodeForbidden, f.Access.DeleteRole(f.Admin(), public.ID))

	account := f.Account("ci")
	plain := f.Token(account.ID)
	require.Empty(t, plain.Roles)
	f.updateRole(public.ID, svcauth.RolePatch{Description: &text, Privileges: &[]string{view}})
	token := f.Token(account.ID)
	require.Equal(t, view, token.Scope, "everyone has it now")
	f.Lives(plain, token)
	f.updateRole(public.ID, svcauth.RolePatch{Privileges: &none})
	f.Dies(token)
	f.Lives(plain)
}
