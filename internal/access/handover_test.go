package access_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestNothingHandedOverOutlastsItsGiver: who holds a privilege only by a grant
// that ends gives it to nobody, itself included, for longer, by whatever way.
func TestNothingHandedOverOutlastsItsGiver(t *testing.T) {
	f := rules.New(t, nil)
	managers := f.Role("Managers", svcauth.MembersRead, svcauth.MembersManage, svcauth.RolesManage)
	editors, viewers, nothing := f.Role("Editors", rules.Edit), f.Role("Viewers", rules.View), f.Role("Nothing")
	temp, _ := f.Member("temp@example.com", managers, viewers)
	end := f.Clock.Now().Add(time.Hour)
	f.Until(temp, editors, end)
	rich, mine := f.Account("rich", editors), f.Account("mine")
	off := f.Account("off", editors)
	no, yes := false, true
	_, err := f.Access.UpdateServiceAccount(f.Admin(), off.ID, 0, svcauth.ServiceAccountPatch{Disabled: &yes})
	require.NoError(t, err)
	bob, _ := f.Member("bob@example.com", editors)
	eve, _ := f.Member("eve@example.com")
	out, _ := f.Member("out@example.com", editors)
	_, err = f.People.UpdateMember(f.Admin(), out, 0, svcauth.MemberPatch{Suspended: &yes})
	require.NoError(t, err)

	console := f.Console(f.OrgID(), temp, "temp@example.com")
	full := f.Narrow(console, svcauth.MembersRead, svcauth.MembersManage, svcauth.RolesManage)
	actor, _ := access.ActorFrom(full)
	actor.Full = true
	full = access.WithActor(full, actor)
	after := end.Add(time.Millisecond)
	grant := func(ctx context.Context, end *time.Time) error {
		_, err := f.Access.AssignServiceAccountRole(ctx, mine.ID, editors.ID, svcauth.GrantRequest{ExpiresAt: end})
		return err
	}
	secret := func(ctx context.Context, end *time.Time) error {
		_, err := f.Access.CreateSecret(ctx, rich.ID, svcauth.NewSecretRequest{ExpiresAt: end})
		return err
	}
	for name, ctx := range map[string]context.Context{"console": console, "full token": full} {
		t.Run(name, func(t *testing.T) {
			for what, give := range map[string]func() error{
				"a grant for good":      func() error { return grant(ctx, nil) },
				"a grant that is later": func() error { return grant(ctx, &after) },
				"a secret for good":     func() error { return secret(ctx, nil) },
				"a later secret":        func() error { return secret(ctx, &after) },
				"its own grant": func() error {
					return rules.Last(f.Access.AssignMemberRole(ctx, temp, editors.ID,
						svcauth.GrantRequest{}))
				},
				"a member's grant": func() error {
					return rules.Last(f.Access.AssignMemberRole(ctx, eve, editors.ID,
						svcauth.GrantRequest{}))
				},
				"an account": func() error {
					_, err := f.Access.CreateServiceAccount(ctx,
						svcauth.NewServiceAccount{Name: "new", RoleIDs: []string{editors.ID}})
					return err
				},
				"an account enabled": func() error {
					_, err := f.Access.UpdateServiceAccount(ctx, off.ID, 0, svcauth.ServiceAccountPatch{Disabled: &no})
					return err
				},
				"a role that everyone holds": func() error {
					_, err := f.Access.UpdateRole(ctx, f.System(f.OrgID(), store.RolePublic).ID, 0,
						svcauth.RolePatch{Privileges: &[]string{rules.Edit}})
					return err
				},
				"a role": func() error {
					_, err := f.Access.UpdateRole(ctx, nothing.ID, 0,
						svcauth.RolePatch{Privileges: &[]string{rules.Edit}})
					return err
				},
				"an invitation": func() error {
					_, err := f.People.InviteMember(ctx,
						svcauth.NewMember{Email: "new@example.com", RoleIDs: []string{editors.ID}})
					return err
				},
				"a link": func() error { _, err := f.People.ResetMember(ctx, bob); return err },
				"a member let back": func() error {
					_, err := f.People.UpdateMember(ctx, out, 0, svcauth.MemberPatch{Suspended: &no})
					return err
				},
			} {
				p := rules.Problem(t, svcauth.CodeMissingPrivileges, give())
				require.Equal(t, []string{rules.Edit}, p.Missing, what)
				require.Contains(t, p.Detail, "you hold "+rules.Edit+" only until 2030-05-01T13:00:00Z; ", what)
			}
		})
	}
	require.Contains(t, rules.Problem(t, svcauth.CodeMissingPrivileges, grant(console, nil)).Detail,
		"the grant must end by then: set expires_at")
	require.Contains(t, rules.Problem(t, svcauth.CodeMissingPrivileges, secret(console, nil)).Detail,
		"the secret must end by then: set expires_at")

	// What ends with it may be given, and not made longer afterwards.
	require.NoError(t, grant(console, &end))
	require.Error(t, grant(console, &after))
	member := func(end *time.Time) error {
		return rules.Last(f.Access.AssignMemberRole(console, eve, editors.ID, svcauth.GrantRequest{ExpiresAt: end}))
	}
	require.NoError(t, member(&end))
	for _, longer := range []*time.Time{&after, nil} {
		require.Contains(t, rules.Problem(t, svcauth.CodeMissingPrivileges, member(longer)).Detail,
			"the grant must end by then: set expires_at")
	}
	require.NoError(t, member(new(end.Add(-time.Minute))), "it only becomes shorter")
	made, err := f.Access.CreateSecret(full, rich.ID, svcauth.NewSecretRequest{ExpiresAt: &end})
	require.NoError(t, err)
	_, err = f.Access.UpdateSecret(full, rich.ID, made.ID, svcauth.SecretPatch{ClearExpiresAt: true})
	require.Contains(t, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Detail, "the secret must end by then")
	_, err = f.Access.CreateSecret(console, mine.ID, svcauth.NewSecretRequest{})
	require.NoError(t, err, "the account itself holds it no longer")
	_, err = f.Access.CreateApplicationKey(console, svcauth.NewApplicationKey{})
	require.NoError(t, err, "a key is its member")
	_, err = f.Access.UpdateServiceAccount(console, rich.ID, 0, svcauth.ServiceAccountPatch{Name: new("richer")})
	require.NoError(t, err, "a name gives nothing")
	_, err = f.Access.CreateServiceAccount(console,
		svcauth.NewServiceAccount{Name: "looks", RoleIDs: []string{viewers.ID}})
	require.NoError(t, err, "what it holds for good")
	f.Until(temp, f.Role("Editors too", rules.Edit), end.Add(time.Hour))
	require.NoError(t, grant(console, &after), "the last of its grants counts")
	require.NoError(t, rules.Last(f.Access.AssignMemberRole(f.Admin(), temp, editors.ID, svcauth.GrantRequest{})))
	require.NoError(t, grant(console, nil))
}

// TestShortGrantIsNotMadePermanent: a service account makes itself another one.
func TestShortGrantIsNotMadePermanent(t *testing.T) {
	f := rules.New(t, nil)
	f.AllowMachines()
	managers, editors := f.Role("Managers", svcauth.MembersRead, svcauth.MembersManage), f.Role("Editors", rules.Edit)
	robot := f.Account("robot", managers)
	end := f.Clock.Now().Add(4 * time.Second)
	_, err := f.Access.AssignServiceAccountRole(f.Admin(), robot.ID, editors.ID, svcauth.GrantRequest{ExpiresAt: &end})
	require.NoError(t, err)
	ctx := f.Machine(f.OrgID(), robot)
	own, err := f.Access.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: "own"})
	require.NoError(t, err)
	for _, to := range []string{own.ID, robot.ID} {
		_, err = f.Access.AssignServiceAccountRole(ctx, to, editors.ID, svcauth.GrantRequest{})
		require.Contains(t, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Detail, "the grant must end by then")
	}
	f.Clock.Advance(5 * time.Second)
	_, err = f.Access.AssignServiceAccountRole(ctx, own.ID, editors.ID,
		svcauth.GrantRequest{ExpiresAt: new(f.Clock.Now().Add(time.Second))})
	require.Contains(t, rules.Problem(t, svcauth.CodeMissingPrivileges, err).Detail, "does not carry",
		"a request that began before is no better")
}
