package people_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const theProvider = "https://id.example.com"

// withProvider is a server with single sign-on.
func withProvider(t *testing.T) *rules.Fixture {
	return rules.New(t, func(c *rules.Config) { c.Access.SingleSignOn = theProvider })
}

// byProvider signs a member in by single sign-on.
func byProvider(f *rules.Fixture, email string) (people.Identity, error) {
	f.T.Helper()
	all, err := f.People.MemberByVerifiedEmail(f.T.Context(), email)
	if err != nil {
		return people.Identity{}, err
	}
	require.Len(f.T, all, 1)
	return f.People.SignInVerified(f.T.Context(), email, all[0], rules.Home)
}

// setPasswords turns password_sign_in on or off.
func setPasswords(f *rules.Fixture, ctx context.Context, value string) error {
	_, err := f.Access.UpdateOrganization(ctx, 0, svcauth.OrganizationPatch{PasswordSignIn: &value})
	return err
}

// administrator makes a member who holds Administrator.
func administrator(f *rules.Fixture, email string) svcauth.Member {
	f.T.Helper()
	role, err := f.Store.Read().SystemRole(f.T.Context(), f.OrgID(), store.RoleAdministrator)
	require.NoError(f.T, err)
	return f.Join(f.Admin(), email, svcauth.Role{ID: role.ID})
}

// TestPasswordsAreOffAtEveryDoor checks that with password_sign_in off no
// password leads in: not one that is right, not a session that it began, not a
// link to set another, nor a choice of organizations.
func TestPasswordsAreOffAtEveryDoor(t *testing.T) {
	f := withProvider(t)
	administrator(f, "ann@example.com")
	bob := f.Join(f.Admin(), "bob@example.com")
	old, err := f.SignIn("bob@example.com", rules.Password, rules.Home)
	require.NoError(t, err)
	_, _, err = f.People.SessionActor(t.Context(), old)
	require.NoError(t, err)
	reset, err := f.People.ResetMember(f.Admin(), f.Join(f.Admin(), "eve@example.com").ID)
	require.NoError(t, err)
	vouched, err := byProvider(f, "ann@example.com")
	require.NoError(t, err)
	require.NoError(t, setPasswords(f, f.Admin(), svcauth.PasswordSignInOff))

	_, err = f.SignIn("bob@example.com", rules.Password, rules.Home)
	rules.Problem(t, svcauth.CodeForbidden, err)
	require.ErrorContains(t, err, "single sign-on only")
	_, wrong := f.SignIn("bob@example.com", wrongPassword, rules.Home)
	rules.Problem(t, svcauth.CodeUnauthenticated, wrong)
	_, unknown := f.SignIn("nobody@example.com", wrongPassword, rules.Home)
	require.Equal(t, unknown, wrong, "a stranger does not learn whose organization takes no passwords")
	_, _, err = f.People.SessionActor(t.Context(), old)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	_, err = f.People.SignInVerified(t.Context(), "bob@example.com",
		people.Identity{MemberID: bob.ID, Epoch: old.Epoch}, rules.Home)
	rules.Problem(t, svcauth.CodeForbidden, err) // chosen by somebody whose password was right

	link := rules.LinkToken(t, reset.InvitationURL)
	about, err := f.People.Invitation(t.Context(), link)
	require.NoError(t, err)
	require.True(t, about.NoPassword)
	_, err = f.People.AcceptInvitation(t.Context(), link, rules.Password)
	rules.Problem(t, svcauth.CodeForbidden, err)
	_, err = f.People.ResetMember(f.Admin(), bob.ID)
	rules.Problem(t, svcauth.CodeConflict, err)
	actor, _, err := f.People.SessionActor(t.Context(), vouched)
	require.NoError(t, err, "single sign-on goes on")
	rules.Problem(t, svcauth.CodeConflict,
		f.People.ChangePassword(access.WithActor(t.Context(), actor), rules.Password, "another harbour in the fog"))

	invited, err := f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: "new@example.com"})
	require.NoError(t, err)
	_, err = f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, invited.InvitationURL), rules.Password)
	rules.Problem(t, svcauth.CodeForbidden, err)
	_, err = byProvider(f, "new@example.com")
	require.NoError(t, err, "the invitation is accepted by single sign-on")

	require.NoError(t, setPasswords(f, f.Admin(), svcauth.PasswordSignInOn))
	_, err = f.SignIn("bob@example.com", rules.Password, rules.Home)
	require.NoError(t, err)
}

// TestPasswordsOffLockNobodyOut checks that passwords go off only when an
// Administrator has come in by single sign-on, and that the last such one
// stays.
func TestPasswordsOffLockNobodyOut(t *testing.T) {
	without := rules.New(t, nil)
	require.ErrorContains(t, setPasswords(without, without.Admin(), svcauth.PasswordSignInOff), "oidc.issuer")

	f := withProvider(t)
	off := func() error { return setPasswords(f, f.Admin(), svcauth.PasswordSignInOff) }
	ann, bob := administrator(f, "ann@example.com"), f.Join(f.Admin(), "bob@example.com")
	rules.Problem(t, svcauth.CodeConflict, off())
	_, err := byProvider(f, "bob@example.com")
	require.NoError(t, err)
	rules.Problem(t, svcauth.CodeConflict, off()) // no Administrator
	_, err = byProvider(f, "ann@example.com")
	require.NoError(t, err)
	bad := "sometimes"
	_, err = f.Access.UpdateOrganization(f.Admin(), 0, svcauth.OrganizationPatch{PasswordSignIn: &bad})
	rules.Problem(t, svcauth.CodeInvalid, err)
	require.NoError(t, off())

	// The first Administrator has never come in so: she does not count.
	suspended, role := true, ann.Roles[0].ID
	for what, lose := range map[string]func() error{
		"suspended": func() error {
			_, err := f.People.UpdateMember(f.Admin(), ann.ID, 0, svcauth.MemberPatch{Suspended: &suspended})
			return err
		},
		"removed":    func() error { return f.People.DeleteMember(f.Admin(), ann.ID) },
		"unassigned": func() error { return f.Access.UnassignMemberRole(f.Admin(), ann.ID, role, "") },
		"shortened": func() error {
			end := f.Clock.Now().Add(time.Hour)
			_, err := f.Access.AssignMemberRole(f.Admin(), ann.ID, role, svcauth.GrantRequest{ExpiresAt: &end})
			return err
		},
	} {
		err := lose()
		require.ErrorContains(t, err, "single sign-on", what)
		rules.Problem(t, svcauth.CodeConflict, err)
	}
	_, err = f.Access.AssignMemberRole(f.Admin(), bob.ID, role, svcauth.GrantRequest{})
	require.NoError(t, err)
	require.NoError(t, f.People.DeleteMember(f.Admin(), ann.ID), "another one gets in")
	rules.Problem(t, svcauth.CodeConflict, f.People.DeleteMember(f.Admin(), bob.ID))
}

// TestPasswordsStayOffWithoutTheirProvider checks that taking single sign-on
// out of the configuration is no way around, and that the server's machine is.
func TestPasswordsStayOffWithoutTheirProvider(t *testing.T) {
	f := withProvider(t)
	administrator(f, "ann@example.com")
	_, err := byProvider(f, "ann@example.com")
	require.NoError(t, err)
	require.NoError(t, setPasswords(f, f.Admin(), svcauth.PasswordSignInOff))

	unconfigured := access.New(access.Config{
		Store: f.Store, Audit: f.Audit, Keyring: f.Keyring, Cache: f.Cache, Issuer: "https://auth.example.com",
		Clock: f.Clock.Now,
	})
	elsewhere := people.New(people.Config{Access: unconfigured, Store: f.Store, Audit: f.Audit, Clock: f.Clock.Now})
	defer elsewhere.Close()
	_, err = elsewhere.SignIn(t.Context(), people.SignInRequest{
		Email: "ann@example.com", Password: rules.Password, IP: rules.Home,
	})
	rules.Problem(t, svcauth.CodeForbidden, err)
	require.ErrorContains(t, err, "--recover-admin")
	f.Clock.Advance(time.Second)
	require.NoError(t, unconfigured.SystemChange(t.Context(), func(tx *access.Tx) error {
		tx.Actor = access.System(f.OrgID())
		changed, err := tx.AllowPasswords(t.Context(), f.OrgID())
		require.True(t, changed)
		return err
	}))
	_, err = elsewhere.SignIn(t.Context(), people.SignInRequest{
		Email: "ann@example.com", Password: rules.Password, IP: rules.Home,
	})
	require.NoError(t, err)
	events, err := f.Access.AuditEvents(f.Admin(), svcauth.AuditFilter{Action: "organization.update"})
	require.NoError(t, err)
	require.Equal(t, svcauth.KindSystem, events.Items[0].Actor.Kind)
	require.Contains(t, string(events.Items[0].After), `"password_sign_in":"on"`)
}
