package server_test

import (
	"context"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

var accountRules = []rule{
	{who: "admin", name: "creates an account", call: func(ctx context.Context, w *world, c calls) error {
		a, err := c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: " padded name ", Description: "d",
			RoleIDs: []string{w.role["editor"]}, TokenTTLSeconds: 120, SecretExpiresAt: &future})
		if err != nil {
			return err
		}
		require.Equal(w.t, a.ID, a.ClientID)
		require.Equal(w.t, "padded name", a.Name)
		require.Len(w.t, a.Secrets, 1)
		require.Equal(w.t, a.ClientSecret.Hint(), a.Secrets[0].Hint)
		require.True(w.t, future.Equal(*a.Secrets[0].ExpiresAt))
		got, err := c.ServiceAccount(ctx, a.ID)
		require.NoError(w.t, err)
		require.Empty(w.t, got.ClientSecret, "a secret is shown once")
		a.ClientSecret = ""
		require.Equal(w.t, a, got)
		return nil
	}},
	{who: "admin", name: "gives a name twice", code: svcauth.CodeConflict,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.account().Name}))
		}},
	{who: "admin", name: "gives no name", code: svcauth.CodeInvalid, at: "body.name",
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{}))
		}},
	{who: "admin", name: "gives 65 characters", code: svcauth.CodeInvalid, at: "body.name",
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: strings.Repeat("ä", 65)}))
		}},
	{who: "admin", name: "gives 64 characters", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: strings.Repeat("ä", 64)}))
	}},
	{who: "admin", name: "wants a token of 59 seconds", code: svcauth.CodeInvalid, at: "body.token_ttl_seconds",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name(), TokenTTLSeconds: 59}))
		}},
	{who: "admin", name: "wants a secret that has expired", code: svcauth.CodeInvalid, at: "body.secret_expires_at",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateServiceAccount(ctx,
				svcauth.NewServiceAccount{Name: w.name(), SecretExpiresAt: &past}))
		}},
	{who: "admin", name: "assigns a role that there is not", code: svcauth.CodeNotFound,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateServiceAccount(ctx,
				svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{svcauth.NewID("role")}}))
		}},
	{who: "helpdesk", name: "creates an account with more than it has", code: svcauth.CodeMissingPrivileges,
		missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateServiceAccount(ctx,
				svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{w.role["editor"]}}))
		}},
	{who: "helpdesk", name: "creates an account with what it has",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateServiceAccount(ctx,
				svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{w.role["viewer"]}}))
		}},
	{who: "helpdesk", name: "assigns more than it has", code: svcauth.CodeMissingPrivileges, missing: "clusters:edit",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.AssignServiceAccountRole(ctx, w.account().ID, w.role["editor"], svcauth.GrantRequest{}))
		}},
	{who: "helpdesk", name: "assigns Administrator", code: svcauth.CodeMissingPrivileges,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.AssignServiceAccountRole(ctx, w.account().ID, w.role[svcauth.RoleAdministrator],
				svcauth.GrantRequest{}))
		}},
	{who: "admin", name: "assigns and unassigns, each twice", call: func(ctx context.Context, w *world, c calls) error {
		a := w.account()
		for range 2 {
			require.NoError(w.t,
				second(c.AssignServiceAccountRole(ctx, a.ID, w.role["viewer"],
					svcauth.GrantRequest{ExpiresAt: &future})))
		}
		held, err := c.ServiceAccountRoles(ctx, a.ID, svcauth.ListOptions{})
		require.NoError(w.t, err)
		require.Len(w.t, held.Items, 1)
		require.Equal(w.t, "viewer", held.Items[0].Name)
		require.True(w.t, future.Equal(*held.Items[0].ExpiresAt))
		for range 2 {
			_, err := c.UnassignServiceAccountRole(ctx, a.ID, w.role["viewer"], "", 0)
			require.NoError(w.t, err)
		}
		return nil
	}},
	{who: "admin", name: "replaces a grant, then deletes what it replaced",
		call: func(ctx context.Context, w *world, c calls) error {
			a := w.account("viewer")
			token := w.s.Token(a.ClientID, a.ClientSecret, "")
			first, err := c.ServiceAccountRoles(ctx, a.ID, svcauth.ListOptions{})
			require.NoError(w.t, err)
			next := svcauth.GrantRequest{ID: svcauth.NewID(svcauth.PrefixGrant)}
			require.NoError(w.t, second(c.AssignServiceAccountRole(ctx, a.ID, w.role["viewer"], next)))
			require.NoError(w.t,
				second(c.UnassignServiceAccountRole(ctx, a.ID, w.role["viewer"], first.Items[0].ID, 0)))
			held, err := c.ServiceAccountRoles(ctx, a.ID, svcauth.ListOptions{})
			require.NoError(w.t, err)
			require.Equal(w.t, next.ID, held.Items[0].ID)
			require.True(w.t, w.s.Active(a.ClientID, a.ClientSecret, token))
			return second(c.UnassignServiceAccountRole(ctx, a.ID, w.role["viewer"], next.ID, 0))
		}},
	{who: "admin", name: "names a grant by what is no id of one", code: svcauth.CodeInvalid, at: "body.id",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.AssignServiceAccountRole(ctx, w.account().ID, w.role["viewer"],
				svcauth.GrantRequest{ID: "mine"}))
		}},
	{who: "admin", name: "assigns a grant that has expired", code: svcauth.CodeInvalid, at: "body.expires_at",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.AssignServiceAccountRole(ctx, w.account().ID, w.role["viewer"],
				svcauth.GrantRequest{ExpiresAt: &past}))
		}},
	{who: "admin", name: "assigns Public", code: svcauth.CodeConflict,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.AssignServiceAccountRole(ctx, w.account().ID, w.role[svcauth.RolePublic],
				svcauth.GrantRequest{}))
		}},
	{who: "admin", name: "disables: tokens die; enables: they stay dead",
		call: func(ctx context.Context, w *world, c calls) error {
			a := w.account("viewer")
			token := w.s.Token(a.ClientID, a.ClientSecret, "")
			off, err := c.UpdateServiceAccount(ctx, a.ID, 0, svcauth.ServiceAccountPatch{Disabled: ptr(true)}, 0)
			require.NoError(w.t, err)
			require.True(w.t, off.Disabled)
			on, err := c.UpdateServiceAccount(ctx, a.ID, off.Version, svcauth.ServiceAccountPatch{Disabled: ptr(false)},
				0)
			require.NoError(w.t, err)
			require.Greater(w.t, on.Version, off.Version)
			require.False(w.t, w.s.Active(a.ClientID, a.ClientSecret, token))
			return nil
		}},
	{who: "helpdesk", name: "enables an account with more than it has", code: svcauth.CodeMissingPrivileges,
		missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
			a := w.account("editor")
			_, err := c.UpdateServiceAccount(ctx, a.ID, 0, svcauth.ServiceAccountPatch{Disabled: ptr(true)}, 0)
			require.NoError(w.t, err, "taking away needs no more than members:manage")
			return second(c.UpdateServiceAccount(ctx, a.ID, 0, svcauth.ServiceAccountPatch{Disabled: ptr(false)}, 0))
		}},
	{who: "admin", name: "changes what somebody changed since", code: svcauth.CodePreconditionFailed,
		call: func(ctx context.Context, w *world, c calls) error {
			a := w.account()
			_, err := c.UpdateServiceAccount(ctx, a.ID, a.Version,
				svcauth.ServiceAccountPatch{Description: ptr("mine")}, 0)
			require.NoError(w.t, err)
			return second(c.UpdateServiceAccount(ctx, a.ID, a.Version,
				svcauth.ServiceAccountPatch{Description: ptr("theirs")}, 0))
		}},
	{who: "admin", name: "removes an account twice", code: svcauth.CodeNotFound,
		call: func(ctx context.Context, w *world, c calls) error {
			a := w.account("viewer")
			token := w.s.Token(a.ClientID, a.ClientSecret, "")
			_, err := c.DeleteServiceAccount(ctx, a.ID, 0)
			require.NoError(w.t, err)
			require.False(w.t,
				w.s.Active(w.s.Tenant.ApplicationKey.ClientID, w.s.Tenant.ApplicationKey.ClientSecret, token))
			return second(c.DeleteServiceAccount(ctx, a.ID, 0))
		}},
	{who: "admin", name: "revokes one token; the other lives on",
		call: func(ctx context.Context, w *world, c calls) error {
			a := w.account("viewer")
			one, two := w.s.Token(a.ClientID, a.ClientSecret, ""), w.s.Token(a.ClientID, a.ClientSecret, "")
			var live svcauth.List[svcauth.LiveToken]
			require.Eventually(w.t, func() bool { // records are written off the path
				var err error
				live, err = c.Tokens(ctx, a.ID, svcauth.ListOptions{})
				return err == nil && len(live.Items) == 2
			}, 30*time.Second, 20*time.Millisecond)
			for _, l := range live.Items {
				require.Equal(w.t, "clusters:view", l.Scope)
				require.Equal(w.t, a.Secrets[0].ID, l.SecretID)
			}
			p, err := w.s.App.Token.VerifyOwn(ctx, one)
			require.Error(w.t, err, "its audience is the API, not this server")
			require.Nil(w.t, p)
			_, err = c.RevokeToken(ctx, a.ID, live.Items[0].JTI, 0)
			require.NoError(w.t, err)
			require.NotEqual(w.t, w.s.Active(a.ClientID, a.ClientSecret, one),
				w.s.Active(a.ClientID, a.ClientSecret, two))
			_, err = c.RevokeTokens(ctx, a.ID, 0)
			require.NoError(w.t, err)
			require.False(w.t, w.s.Active(a.ClientID, a.ClientSecret, one) ||
				w.s.Active(a.ClientID, a.ClientSecret, two))
			return nil
		}},
	{who: "machine Administrator", name: "manages access with the setting off", code: svcauth.CodeForbidden,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateServiceAccount(ctx, svcauth.NewServiceAccount{Name: w.name()}))
		}},
	{who: "machine helpdesk", name: "grants a role with the setting off", code: svcauth.CodeForbidden,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.AssignServiceAccountRole(ctx, w.account().ID, w.role["viewer"], svcauth.GrantRequest{}))
		}},
	{who: "machine Administrator", name: "turns the setting on by itself", code: svcauth.CodeForbidden,
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.UpdateOrganization(ctx,
				0, svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: ptr(true)}))
		}},
	{who: "admin", name: "turns the setting on", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.UpdateOrganization(ctx, 0,
			svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: ptr(true)}))
	}},
	{who: "machine helpdesk", name: "manages access with the setting on",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateServiceAccount(ctx,
				svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{w.role["viewer"]}}))
		}},
	{who: "machine helpdesk", name: "gains through another with the setting on", code: svcauth.CodeMissingPrivileges,
		missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateServiceAccount(ctx,
				svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{w.role["editor"]}}))
		}},
	{who: "admin", name: "turns the setting off again", call: func(ctx context.Context, _ *world, c calls) error {
		return second(c.UpdateOrganization(ctx, 0,
			svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: ptr(false)}))
	}},
	{who: "machine helpdesk", name: "changes an account after that", code: svcauth.CodeForbidden,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.UpdateServiceAccount(ctx, w.account().ID,
				0, svcauth.ServiceAccountPatch{Disabled: ptr(true)}, 0))
		}},
}
