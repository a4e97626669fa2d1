package access_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestApplicationKeyLife(t *testing.T) {
	f := newFixture(t, nil)
	id, member := f.Member("ann@example.com", f.Role("Viewer", view))
	_, other := f.Member("bob@example.com", f.Role("Viewer 2", view))
	made, err := f.Service.CreateApplicationKey(member, svcauth.NewApplicationKey{Description: "laptop"})
	require.NoError(t, err)
	require.True(t, f.worksFor(made.ID, made.ClientSecret))
	require.Equal(t, svcauth.Creator{ID: id, Email: "ann@example.com"}, made.Member)
	shown := made
	shown.ClientSecret = ""
	got, err := f.Service.ApplicationKey(member, made.ID)
	require.NoError(t, err)
	require.Equal(t, shown, got)
	f.Clock.Advance(time.Second)
	second, err := f.Service.CreateApplicationKey(member, svcauth.NewApplicationKey{})
	require.NoError(t, err)
	list, err := f.Service.ApplicationKeys(member, svcauth.ListOptions{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, second.ID, list.Items[0].ID)
	list, err = f.Service.ApplicationKeys(member, svcauth.ListOptions{Limit: 1, Cursor: *list.NextCursor})
	require.NoError(t, err)
	require.Equal(t, []svcauth.ApplicationKey{shown}, list.Items)
	require.Nil(t, list.NextCursor)

	// Everybody else finds nothing.
	tenant, stranger := f.Tenants("stranger")
	_, fromThere := f.MemberOf(tenant.Organization.ID, "ann@example.com")
	theirs, err := f.Service.ApplicationKeys(other, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, theirs.Items)
	token, rest := f.Token(made.ID), f.Token(second.ID)
	_, err = f.Service.ApplicationKey(other, made.ID)
	problem(t, svcauth.CodeNotFound, err)
	problem(t, svcauth.CodeNotFound, f.Service.DeleteApplicationKey(other, made.ID))
	problem(t, svcauth.CodeNotFound, f.Service.DeleteApplicationKey(stranger, made.ID))
	problem(t, svcauth.CodeNotFound, f.Service.DeleteApplicationKey(fromThere, made.ID))
	problem(t, svcauth.CodeNotFound, f.Service.DeleteApplicationKey(member, "ak_\x00"))
	problem(t, svcauth.CodeNotFound, f.Service.DeleteApplicationKey(member, f.Account("ci").ID))
	f.lives(token)

	require.NoError(t, f.Service.DeleteApplicationKey(member, made.ID))
	f.dies(token)
	f.lives(rest)
	_, err = f.Store.Read().Credentials(t.Context(), made.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	for _, action := range []string{"application_key.create", "application_key.delete"} {
		for _, e := range f.Audited(f.OrgID(), action) {
			require.NotContains(t, string(e.Before)+string(e.After), "svcs_")
		}
	}
}

func TestServiceAccountsHaveNoApplicationKeys(t *testing.T) {
	f := newFixture(t, nil)
	f.AllowMachines()
	machine := f.Machine(f.OrgID(), f.Account("machine", f.Role("Readers", svcauth.MembersRead)))
	_, err := f.Service.CreateApplicationKey(machine, svcauth.NewApplicationKey{})
	require.Contains(t, problem(t, svcauth.CodeForbidden, err).Detail, "Application keys belong to members")
	_, err = f.Service.ApplicationKeys(machine, svcauth.ListOptions{})
	problem(t, svcauth.CodeForbidden, err)
	_, err = f.Service.ApplicationKey(machine, f.Tenant.ApplicationKey.ID)
	problem(t, svcauth.CodeForbidden, err)
	problem(t, svcauth.CodeForbidden, f.Service.DeleteApplicationKey(machine, f.Tenant.ApplicationKey.ID))
	_, err = f.Service.CreateApplicationKey(t.Context(), svcauth.NewApplicationKey{})
	problem(t, svcauth.CodeUnauthenticated, err)
}

// A key acts with all that its member holds: a token with a narrow scope must not get that through it.
func TestEscalationByApplicationKey(t *testing.T) {
	f := newFixture(t, nil)
	_, member := f.Member("ann@example.com", f.Role("Editor", view, edit))
	_, err := f.Service.CreateApplicationKey(f.Narrow(member, view), svcauth.NewApplicationKey{})
	require.Equal(t, []string{edit}, problem(t, svcauth.CodeMissingPrivileges, err).Missing)
	_, err = f.Service.CreateApplicationKey(f.Narrow(member, view, edit), svcauth.NewApplicationKey{})
	require.NoError(t, err)
}

// A key acts with the member's roles at the moment of each request.
func TestApplicationKeyFollowsItsMember(t *testing.T) {
	f := newFixture(t, nil)
	id, member := f.Member("ann@example.com", f.Role("Viewer", view))
	key, err := f.Service.CreateApplicationKey(member, svcauth.NewApplicationKey{})
	require.NoError(t, err)
	require.Equal(t, view, f.Token(key.ID).Scope)
	editor := f.Role("Editor", edit)
	require.NoError(t, f.Store.Write(t.Context(), func(q *store.Q) error {
		return q.PutGrant(t.Context(), store.GrantRow{OrgID: f.OrgID(), PrincipalID: id, RoleID: editor.ID, GrantedAt: f.Clock.Now()})
	}))
	require.Equal(t, edit+" "+view, f.Token(key.ID).Scope)
}

func TestFiftyApplicationKeysAtMost(t *testing.T) {
	f := newFixture(t, nil)
	_, member := f.Member("ann@example.com")
	for range svcauth.MaxApplicationKeys {
		_, err := f.Service.CreateApplicationKey(member, svcauth.NewApplicationKey{})
		require.NoError(t, err)
	}
	_, err := f.Service.CreateApplicationKey(member, svcauth.NewApplicationKey{})
	problem(t, svcauth.CodeConflict, err)
	list, err := f.Service.ApplicationKeys(member, svcauth.ListOptions{Limit: 100})
	require.NoError(t, err)
	require.Len(t, list.Items, svcauth.MaxApplicationKeys)
	require.NoError(t, f.Service.DeleteApplicationKey(member, list.Items[0].ID))
	_, err = f.Service.CreateApplicationKey(member, svcauth.NewApplicationKey{})
	require.NoError(t, err)
}
