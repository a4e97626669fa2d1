package rules

import (
	"context"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// LinkToken takes the one-time token out of a link.
func LinkToken(t *testing.T, link string) svcauth.Secret {
	t.Helper()
	u, err := url.Parse(link)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(link, Issuer+"/console/invitation?token="), link)
	return svcauth.Secret(u.Query().Get("token"))
}

// Join invites a person and lets it accept.
func (f *Fixture) Join(ctx context.Context, email string, roles ...svcauth.Role) svcauth.Member {
	f.T.Helper()
	n := svcauth.NewMember{Email: email, FirstName: "Ann", LastName: "Lee"}
	for _, r := range roles {
		n.RoleIDs = append(n.RoleIDs, r.ID)
	}
	m, err := f.People.InviteMember(ctx, n)
	require.NoError(f.T, err)
	id, err := f.People.AcceptInvitation(f.T.Context(), LinkToken(f.T, m.InvitationURL), Password)
	require.NoError(f.T, err)
	require.Equal(f.T, m.ID, id)
	return m
}

// InConsole signs a member of the only organization that has one with this
// address in, and returns the context of its session now.
func (f *Fixture) InConsole(email string) context.Context { return f.InConsoleOf("", email) }

// InConsoleOf is [Fixture.InConsole] for a member of one organization.
func (f *Fixture) InConsoleOf(orgID, email string) context.Context {
	f.T.Helper()
	in, err := f.People.SignIn(
		f.T.Context(),
		people.SignInRequest{Email: email, Password: Password, OrganizationID: orgID, IP: Home},
	)
	require.NoError(f.T, err)
	actor, _, err := f.People.SessionActor(f.T.Context(), in)
	require.NoError(f.T, err)
	return access.WithActor(f.T.Context(), actor)
}

// SignIn signs in with a password.
func (f *Fixture) SignIn(email string, password svcauth.Secret, ip netip.Addr) (people.Identity, error) {
	return f.People.SignIn(f.T.Context(), people.SignInRequest{Email: email, Password: password, IP: ip})
}

// SuspendAndRestore suspends a member of the operator's organization and lets
// it back in.
func (f *Fixture) SuspendAndRestore(id string) error {
	yes, no := true, false
	if _, err := f.People.UpdateMember(f.Admin(), id, 0, svcauth.MemberPatch{Suspended: &yes}); err != nil {
		return err
	}
	_, err := f.People.UpdateMember(f.Admin(), id, 0, svcauth.MemberPatch{Suspended: &no})
	return err
}
