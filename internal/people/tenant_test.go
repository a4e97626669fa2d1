package people_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestOperatorMakesAndDeletesTenants(t *testing.T) {
	f := rules.New(t, nil)
	f.People.AnswerAtOnce()
	made, err := f.People.CreateOrganization(f.Admin(),
		svcauth.NewOrganization{Name: "tenant", AdminEmail: "boss@tenant.example"})
	require.NoError(t, err)
	require.False(t, made.Operator)
	_, err = f.People.CreateOrganization(f.Admin(),
		svcauth.NewOrganization{Name: "Tenant", AdminEmail: "boss@tenant.example"})
	rules.Problem(t, svcauth.CodeConflict, err)
	id, err := f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, made.InvitationURL), rules.Password)
	require.NoError(t, err)
	boss := f.InConsole("boss@tenant.example")
	actor, _ := access.ActorFrom(boss)
	require.Equal(t, id, actor.ID)
	require.ElementsMatch(t, f.All(false), actor.Privileges,
		"Administrator: every privilege that its organization can have")

	account, err := f.Access.CreateServiceAccount(boss,
		svcauth.NewServiceAccount{Name: "robot", RoleIDs: []string{f.System(made.ID, store.RoleAdministrator).ID}})
	require.NoError(t, err)
	bare, err := f.Access.CreateServiceAccount(boss, svcauth.NewServiceAccount{Name: "bare"})
	require.NoError(t, err)
	key, member := f.Key(boss)
	with, without, mine := f.Token(account.ID), f.Token(bare.ID), f.Token(f.Account("mine").ID)
	f.Lives(with, without, member, mine)

	require.NoError(t, f.Access.DeleteOrganization(f.Admin(), made.ID))
	f.Dies(with, without, member)
	f.Lives(mine)
	_, err = f.Store.Read().Credentials(t.Context(), key.ID)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = f.SignIn("boss@tenant.example", rules.Password, rules.Home)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	_, err = f.People.Members(boss, svcauth.ListOptions{})
	require.NoError(t, err) // an actor that a face made before the deletion sees an empty organization
	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteOrganization(f.Admin(), made.ID))
	rules.Problem(t, svcauth.CodeConflict, f.Access.DeleteOrganization(f.Admin(), f.OrgID()))
	require.Len(t, f.Audited(f.OrgID(), "organization.delete"), 3)
}
