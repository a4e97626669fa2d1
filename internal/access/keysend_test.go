package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestApplicationKeysEndWithSessions: whoever has a member's key is out with
// whoever has its session, for good, and the audit log tells of each key.
func TestApplicationKeysEndWithSessions(t *testing.T) {
	no, yes := false, true
	for name, end := range map[string]func(f *fixture, id string) error{
		"a reset": func(f *fixture, id string) error { _, err := f.Service.ResetMember(f.Admin(), id); return err },
		"a new password": func(f *fixture, _ string) error {
			return f.Service.ChangePassword(f.console("ann@example.com"), goodPassword, "another harbour in the fog")
		},
		"a suspension that is over": func(f *fixture, id string) error {
			_, err := f.Service.UpdateMember(f.Admin(), id, 0, svcauth.MemberPatch{Suspended: &yes})
			require.NoError(f.t, err)
			_, err = f.Service.UpdateMember(f.Admin(), id, 0, svcauth.MemberPatch{Suspended: &no})
			return err
		},
		"a removal": func(f *fixture, id string) error { return f.Service.DeleteMember(f.Admin(), id) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, nil)
			ann := f.join(f.Admin(), "ann@example.com", f.Role("Viewers", view))
			f.join(f.Admin(), "bob@example.com")
			key, token := f.key(f.console("ann@example.com"))
			second, _ := f.key(f.console("ann@example.com"))
			other, others := f.key(f.console("bob@example.com"))
			require.NoError(t, end(f, ann.ID))
			f.dies(token)
			f.lives(others)
			require.True(t, f.worksFor(other.ID, other.ClientSecret))
			ended := map[string]string{}
			for _, e := range f.Audited(f.OrgID(), "application_key.delete") {
				ended[e.Target.ID] = e.Outcome
				require.Contains(t, string(e.Before), `"email":"ann@example.com"`)
			}
			require.Equal(t, map[string]string{key.ID: svcauth.OutcomeDone, second.ID: svcauth.OutcomeDone}, ended)
			for id := range ended {
				_, err := f.Store.Read().Credentials(t.Context(), id)
				require.ErrorIs(t, err, store.ErrNotFound)
			}
		})
	}
}

// TestManagersSeeAndEndApplicationKeys: of everybody in their organization, and
// only they do.
func TestManagersSeeAndEndApplicationKeys(t *testing.T) {
	f := newFixture(t, nil)
	manage := f.Role("Managers", svcauth.MembersRead, svcauth.MembersManage)
	_, manager := f.Member("manager@example.com", manage)
	_, reader := f.Member("reader@example.com", f.Role("Readers", svcauth.MembersRead))
	ann, member := f.Member("ann@example.com", f.Role("Editors", edit))
	key, token := f.key(member)
	of := svcauth.ListOptions{Member: ann}
	shown := key
	shown.ClientSecret = ""
	list, err := f.Service.ApplicationKeys(manager, of)
	require.NoError(t, err)
	require.Equal(t, []svcauth.ApplicationKey{shown}, list.Items)
	list, err = f.Service.ApplicationKeys(member, of)
	require.NoError(t, err)
	require.Equal(t, []svcauth.ApplicationKey{shown}, list.Items, "one's own")
	got, err := f.Service.ApplicationKey(manager, key.ID)
	require.NoError(t, err)
	require.Equal(t, shown, got)
	list, err = f.Service.ApplicationKeys(manager, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, list.Items, "its own")

	_, stranger := f.Tenants("stranger")
	robot := f.Machine(f.OrgID(), f.Account("robot", manage))
	_, err = f.Service.ApplicationKeys(reader, of)
	problem(t, svcauth.CodeMissingPrivileges, err)
	_, err = f.Service.ApplicationKeys(stranger, of)
	problem(t, svcauth.CodeNotFound, err)
	_, err = f.Service.ApplicationKeys(manager, svcauth.ListOptions{Member: "mem_\x00"})
	problem(t, svcauth.CodeNotFound, err)
	problem(t, svcauth.CodeNotFound, f.Service.DeleteApplicationKey(reader, key.ID))
	problem(t, svcauth.CodeNotFound, f.Service.DeleteApplicationKey(stranger, key.ID))
	problem(t, svcauth.CodeForbidden, f.Service.DeleteApplicationKey(robot, key.ID))
	problem(t, svcauth.CodeNotFound, f.Service.DeleteApplicationKey(manager, f.Account("ci").ID))
	f.lives(token)

	require.NoError(t, f.Service.DeleteApplicationKey(manager, key.ID))
	f.dies(token)
	told := false
	for _, e := range f.Audited(f.OrgID(), "application_key.delete") {
		told = told || e.Target.ID == key.ID && e.Actor.Name == "manager@example.com" && e.Outcome == svcauth.OutcomeDone
	}
	require.True(t, told)
	f.AllowMachines()
	second, _ := f.key(member)
	require.NoError(t, f.Service.DeleteApplicationKey(robot, second.ID))
}
