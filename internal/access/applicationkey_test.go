package access_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestApplicationKeyLife(t *testing.T) {
	f := rules.New(t, nil)
	id, member := f.Member("ann@example.com", f.Role("Viewer", rules.View))
	_, other := f.Member("bob@example.com", f.Role("Viewer 2", rules.View))
	made, err := f.Access.CreateApplicationKey(member, svcauth.NewApplicationKey{Description: "laptop"})
	require.NoError(t, err)
	require.True(t, f.WorksFor(made.ID, made.ClientSecret))
	require.Equal(t, svcauth.Creator{ID: id, Email: "ann@example.com"}, made.Member)
	shown := made
	shown.ClientSecret = ""
	got, err := f.Access.ApplicationKey(member, made.ID)
	require.NoError(t, err)
	require.Equal(t, shown, got)
	f.Clock.Advance(time.Second)
	second, err := f.Access.CreateApplicationKey(member, svcauth.NewApplicationKey{})
	require.NoError(t, err)
	list, err := f.Access.ApplicationKeys(member, svcauth.ListOptions{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, second.ID, list.Items[0].ID)
	list, err = f.Access.ApplicationKeys(member, svcauth.ListOptions{Limit: 1, Cursor: *list.NextCursor})
	require.NoError(t, err)
	require.Equal(t, []svcauth.ApplicationKey{shown}, list.Items)
	require.Nil(t, list.NextCursor)

	// Everybody else finds nothing.
	tenant, stranger := f.Tenants("stranger")
	_, fromThere := f.MemberOf(tenant.Organization.ID, "ann@example.com")
	theirs, err := f.Access.ApplicationKeys(other, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, theirs.Items)
	token, rest := f.Token(made.ID), f.Token(second.ID)
	_, err = f.Access.ApplicationKey(other, made.ID)
	rules.Problem(t, svcauth.CodeNotFound, err)
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteApplicationKey(other, made.ID))
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteApplicationKey(stranger, made.ID))
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteApplicationKey(fromThere, made.ID))
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteApplicationKey(member, "ak_\x00"))
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteApplicationKey(member, f.Account("ci").ID))
	f.Lives(token)

	require.NoError(t, f.Access.DeleteApplicationKey(member, made.ID))
	f.Dies(token)
	f.Lives(rest)
	_, err = f.Store.Read().Credentials(t.Context(), made.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	for _, action := range []string{"application_key.create", "application_key.delete"} {
		for _, e := range f.Audited(f.OrgID(), action) {
			require.NotContains(t, string(e.Before)+string(e.After), "svcs_")
		}
	}
}

func TestServiceAccountsHaveNoApplicationKeys(t *testing.T) {
	f := rules.New(t, nil)
	f.AllowMachines()
	machine := f.Machine(f.OrgID(), f.Account("machine", f.Role("Readers", svcauth.MembersRead)))
	_, err := f.Access.CreateApplicationKey(machine, svcauth.NewApplicationKey{})
	require.Contains(t, rules.Problem(t, svcauth.CodeForbidden, err).Detail, "Application keys belong to members")
	_, err = f.Access.ApplicationKeys(machine, svcauth.ListOptions{})
	rules.Problem(t, svcauth.CodeForbidden, err)
	_, err = f.Access.ApplicationKey(machine, f.Tenant.ApplicationKey.ID)
	rules.Problem(t, svcauth.CodeForbidden, err)
	rules.Problem(t, svcauth.CodeForbidden, f.Access.DeleteApplicationKey(machine, f.Tenant.ApplicationKey.ID))
	_, err = f.Access.CreateApplicationKey(t.Context(), svcauth.NewApplicationKey{})
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
}

// A key acts with all that its member holds: a token with a narrow scope must
// not get that through it.
func TestEscalationByApplicationKey(t *testing.T) {
	f := rules.New(t, nil)
	_, member := f.Member("ann@example.com", f.Role("Editor", rules.View, rules.Edit))
	_, err := f.Access.CreateApplicationKey(f.Narrow(member, rules.View), svcauth.NewApplicationKey{})
	require.Equal(t, []string{rules.Edit}, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.Access.CreateApplicationKey(f.Narrow(member, rules.View, rules.Edit), svcauth.NewApplicationKey{})
	require.NoError(t, err)
}

// A key acts with the member's roles at the moment of each request.
func TestApplicationKeyFollowsItsMember(t *testing.T) {
	f := rules.New(t, nil)
	id, member := f.Member("ann@example.com", f.Role("Viewer", rules.View))
	key, err := f.Access.CreateApplicationKey(member, svcauth.NewApplicationKey{})
	require.NoError(t, err)
	require.Equal(t, rules.View, f.Token(key.ID).Scope)
	editor := f.Role("Editor", rules.Edit)
	require.NoError(t, f.Store.Write(t.Context(), func(q *store.Q) error {
		return q.PutGrant(t.Context(),
			store.GrantRow{OrgID: f.OrgID(), PrincipalID: id, RoleID: editor.ID, GrantedAt: f.Clock.Now()})
	}))
	require.Equal(t, rules.Edit+" "+rules.View, f.Token(key.ID).Scope)
}

func TestFiftyApplicationKeysAtMost(t *testing.T) {
	f := rules.New(t, nil)
	_, member := f.Member("ann@example.com")
	for range svcauth.MaxApplicationKeys {
		_, err := f.Access.CreateApplicationKey(member, svcauth.NewApplicationKey{})
		require.NoError(t, err)
	}
	_, err := f.Access.CreateApplicationKey(member, svcauth.NewApplicationKey{})
	rules.Problem(t, svcauth.CodeConflict, err)
	list, err := f.Access.ApplicationKeys(member, svcauth.ListOptions{Limit: 100})
	require.NoError(t, err)
	require.Len(t, list.Items, svcauth.MaxApplicationKeys)
	require.NoError(t, f.Access.DeleteApplicationKey(member, list.Items[0].ID))
	_, err = f.Access.CreateApplicationKey(member, svcauth.NewApplicationKey{})
	require.NoError(t, err)
}

func TestManagersSeeAndEndApplicationKeys(t *testing.T) {
	f := rules.New(t, nil)
	manage := f.Role("Managers", svcauth.MembersRead, svcauth.MembersManage)
	_, manager := f.Member("manager@example.com", manage)
	_, reader := f.Member("reader@example.com", f.Role("Readers", svcauth.MembersRead))
	ann, member := f.Member("ann@example.com", f.Role("Editors", rules.Edit))
	key, token := f.Key(member)
	of := svcauth.ListOptions{Member: ann}
	shown := key
	shown.ClientSecret = ""
	list, err := f.Access.ApplicationKeys(manager, of)
	require.NoError(t, err)
	require.Equal(t, []svcauth.ApplicationKey{shown}, list.Items)
	list, err = f.Access.ApplicationKeys(member, of)
	require.NoError(t, err)
	require.Equal(t, []svcauth.ApplicationKey{shown}, list.Items, "one's own")
	got, err := f.Access.ApplicationKey(manager, key.ID)
	require.NoError(t, err)
	require.Equal(t, shown, got)
	list, err = f.Access.ApplicationKeys(manager, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, list.Items, "its own")

	_, stranger := f.Tenants("stranger")
	robot := f.Machine(f.OrgID(), f.Account("robot", manage))
	_, err = f.Access.ApplicationKeys(reader, of)
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	_, err = f.Access.ApplicationKeys(stranger, of)
	rules.Problem(t, svcauth.CodeNotFound, err)
	_, err = f.Access.ApplicationKeys(manager, svcauth.ListOptions{Member: "mem_\x00"})
	rules.Problem(t, svcauth.CodeNotFound, err)
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteApplicationKey(reader, key.ID))
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteApplicationKey(stranger, key.ID))
	rules.Problem(t, svcauth.CodeForbidden, f.Access.DeleteApplicationKey(robot, key.ID))
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteApplicationKey(manager, f.Account("ci").ID))
	f.Lives(token)

	require.NoError(t, f.Access.DeleteApplicationKey(manager, key.ID))
	f.Dies(token)
	told := false
	for _, e := range f.Audited(f.OrgID(), "application_key.delete") {
		told = told || e.Target.ID == key.ID && e.Actor.Name == "manager@example.com" &&
			e.Outcome == svcauth.OutcomeDone
	}
	require.True(t, told)
	f.AllowMachines()
	second, _ := f.Key(member)
	require.NoError(t, f.Access.DeleteApplicationKey(robot, second.ID))
}
