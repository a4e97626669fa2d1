package people_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// An Administrator who can't sign in gets one link; whoever came in before is
// out, and the log says who did it.
func TestRecover(t *testing.T) {
	f := rules.New(t, nil)
	administrator := f.System(f.OrgID(), store.RoleAdministrator)
	f.Join(f.Admin(), "ann@example.com", administrator)
	old := f.InConsole("ann@example.com")
	key, minted := f.Key(old)

	var said people.Recovery
	show := func(r people.Recovery) error { said = r; return nil }
	done, err := f.People.Recover(t.Context(), people.RecoveryRequest{Email: "Ann@example.com", Show: show})
	require.NoError(t, err)
	require.Equal(t, done, said)
	require.Equal(t, 1, done.EndedKeys)
	require.False(t, done.Granted)
	require.Equal(t, f.Clock.Now().Add(time.Hour), done.ExpiresAt)
	f.Dies(minted)
	_, err = f.Store.Read().Credentials(t.Context(), key.ID)
	require.ErrorIs(t, err, store.ErrNotFound, "its key has ended")
	_, err = f.SignIn("ann@example.com", rules.Password, rules.Home)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)

	events := f.Audited(f.OrgID(), "member.recover")
	require.Len(t, events, 1)
	require.Equal(t, svcauth.AuditActor{ID: svcauth.KindSystem, Kind: svcauth.KindSystem,
		Name: "operator on the server's machine"}, events[0].Actor)
	require.Equal(t, "ann@example.com", events[0].Target.Name)

	link := rules.LinkToken(t, done.URL)
	require.NotContains(t, string(events[0].After), link.Reveal())
	_, err = f.People.AcceptInvitation(t.Context(), link, "three brown owls at dawn")
	require.NoError(t, err)
	_, err = f.SignIn("ann@example.com", "three brown owls at dawn", rules.Home)
	require.NoError(t, err)
	_, err = f.People.AcceptInvitation(t.Context(), link, rules.Password)
	rules.Problem(t, svcauth.CodeNotFound, err)

	late, err := f.People.Recover(t.Context(), people.RecoveryRequest{Email: "ann@example.com"})
	require.NoError(t, err)
	f.Clock.Advance(time.Hour + time.Second)
	_, err = f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, late.URL), rules.Password)
	rules.Problem(t, svcauth.CodeNotFound, err)
}

// Nobody gains by it: who may not be let in is told why, and who can be.
func TestWhoIsNotRecovered(t *testing.T) {
	f := rules.New(t, nil)
	f.Join(f.Admin(), "bob@example.com")
	tenant, boss := f.Tenants("acme")
	_, err := f.People.InviteMember(boss, svcauth.NewMember{Email: "bob@example.com"})
	require.NoError(t, err)
	refused := func(code, email, organization string, parts ...string) {
		t.Helper()
		_, err := f.People.Recover(t.Context(), people.RecoveryRequest{Email: email, Organization: organization})
		for _, part := range parts {
			require.Contains(t, rules.Problem(t, code, err).Detail, part)
		}
	}
	refused(svcauth.CodeInvalid, "nobody", "", "address")
	refused(svcauth.CodeConflict, "gone@example.com", "", "Nobody has the address gone@example.com",
		f.Tenant.AdminEmail)
	refused(svcauth.CodeConflict, "bob@example.com", "", "several organizations", "acme", "default", "--organization")
	refused(svcauth.CodeNotFound, "bob@example.com", "none", "no member of an organization none", "acme")
	refused(svcauth.CodeConflict, "bob@example.com", "DEFAULT", "bob@example.com is no Administrator",
		f.Tenant.AdminEmail)
	refused(svcauth.CodeConflict, "bob@example.com", tenant.Organization.ID, "is no Administrator", tenant.AdminEmail)
	require.Empty(t, f.Audited(f.OrgID(), "member.recover"))

	ann := f.Join(f.Admin(), "ann@example.com", f.System(f.OrgID(), store.RoleAdministrator))
	yes := true
	_, err = f.People.UpdateMember(f.Admin(), ann.ID, 0, svcauth.MemberPatch{Suspended: &yes})
	require.NoError(t, err)
	refused(svcauth.CodeConflict, "ann@example.com", "", "is suspended in organization default", f.Tenant.AdminEmail)

	done, err := f.People.Recover(t.Context(), people.RecoveryRequest{Email: tenant.AdminEmail})
	require.NoError(t, err)
	require.Len(t, f.Audited(tenant.Organization.ID, "member.recover"), 1)
	require.Len(t, f.Audited(f.OrgID(), "member.recover"), 1, "the operator's own log has it too")
	require.Equal(t, "acme", done.Organization.Name)
}

// An organization whose only Administrator never came is entered by its
// invitation anew; one without any gets the member who is named.
func TestRecoveringAnOrganizationWithoutAdministrator(t *testing.T) {
	f := rules.New(t, nil)
	made, err := f.People.CreateOrganization(f.Admin(),
		svcauth.NewOrganization{Name: "acme", AdminEmail: "boss@acme.example"})
	require.NoError(t, err)
	done, err := f.People.Recover(t.Context(), people.RecoveryRequest{Email: "boss@acme.example"})
	require.NoError(t, err)
	require.False(t, done.Granted)
	_, err = f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, made.InvitationURL), rules.Password)
	rules.Problem(t, svcauth.CodeNotFound, err)
	_, err = f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, done.URL), rules.Password)
	require.NoError(t, err)

	boss := f.InConsoleOf(made.ID, "boss@acme.example")
	f.Join(boss, "ann@acme.example")
	administrator := f.System(made.ID, store.RoleAdministrator)
	bossID := done.Email
	require.NoError(t, f.Store.Write(t.Context(), func(q *store.Q) error { // as no rule lets anybody
		m, err := q.MemberByEmail(t.Context(), made.ID, bossID)
		if err != nil {
			return err
		}
		return q.DeleteGrant(t.Context(), made.ID, m.ID, administrator.ID)
	}))
	done, err = f.People.Recover(t.Context(), people.RecoveryRequest{Email: "ann@acme.example"})
	require.NoError(t, err)
	require.True(t, done.Granted)
	id, err := f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, done.URL), rules.Password)
	require.NoError(t, err)
	require.ElementsMatch(t, f.All(false), f.Held(made.ID, id))
}

// What nobody could see was not made.
func TestWhatCanNotBeShownIsNotMade(t *testing.T) {
	f := rules.New(t, nil)
	full := errors.New("no space left on device")
	_, err := f.People.AddOrganization(t.Context(), people.NewTenant{Name: "acme", AdminEmail: "boss@acme.example",
		Show: func(made people.Tenant) error {
			require.NotEmpty(t, made.AdminPassword)
			return full
		}})
	require.ErrorIs(t, err, full)
	require.ErrorContains(t, err, "nothing was made")
	_, err = f.People.Recover(t.Context(), people.RecoveryRequest{Email: f.Tenant.AdminEmail,
		Show: func(people.Recovery) error { return full }})
	require.ErrorIs(t, err, full)
	require.Empty(t, f.Audited(f.OrgID(), "member.recover"))
	_, err = f.SignIn(f.Tenant.AdminEmail, f.Tenant.AdminPassword, rules.Home)
	require.NoError(t, err, "the old password works")
	_, err = f.People.AddOrganization(t.Context(), people.NewTenant{Name: "acme", AdminEmail: "boss@acme.example"})
	require.NoError(t, err, "the name is free")
}
