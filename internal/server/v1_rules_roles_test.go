package server_test

import (
	"context"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

var roleRules = []rule{
	{who: "admin", name: "makes, changes and deletes a role", call: func(ctx context.Context, w *world, c calls) error {
		r, err := c.CreateRole(ctx,
			svcauth.NewRole{Name: w.name(), Privileges: []string{"clusters:view", "alarms:view", "alarms:view"}})
		require.NoError(w.t, err)
		require.Equal(w.t, []string{"alarms:view", "clusters:view"}, r.Privileges)
		r, err = c.UpdateRole(ctx, r.ID, r.Version, svcauth.RolePatch{Description: ptr("d"), Privileges: &[]string{}},
			0)
		require.NoError(w.t, err)
		require.Empty(w.t, r.Privileges)
		got, err := c.Role(ctx, r.ID)
		require.NoError(w.t, err)
		require.Equal(w.t, r, got)
		return second(c.DeleteRole(ctx, r.ID, 0))
	}},
	{who: "admin", name: "takes a privilege off a role: tokens with it die, others live",
		call: func(ctx context.Context, w *world, c calls) error {
			r := w.newRole("clusters:view", "alarms:view")
			a, err := w.s.App.Access.CreateServiceAccount(w.s.System(),
				svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{r.ID}})
			require.NoError(w.t, err)
			with, without := w.s.Token(a.ClientID, a.ClientSecret, ""), w.s.Token(a.ClientID, a.ClientSecret,
				"clusters:view")
			_, err = c.UpdateRole(ctx, r.ID, 0, svcauth.RolePatch{Privileges: &[]string{"clusters:view"}}, 0)
			require.NoError(w.t, err)
			require.False(w.t, w.s.Active(a.ClientID, a.ClientSecret, with))
			require.True(w.t, w.s.Active(a.ClientID, a.ClientSecret, without))
			_, err = c.DeleteRole(ctx, r.ID, 0)
			require.NoError(w.t, err)
			require.False(w.t, w.s.Active(a.ClientID, a.ClientSecret, without))
			return nil
		}},
	{who: "admin", name: "adds a privilege: no token dies", call: func(ctx context.Context, w *world, c calls) error {
		r := w.newRole("clusters:view")
		a, err := w.s.App.Access.CreateServiceAccount(w.s.System(),
			svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{r.ID}})
		require.NoError(w.t, err)
		token := w.s.Token(a.ClientID, a.ClientSecret, "")
		_, err = c.UpdateRole(ctx, r.ID, 0, svcauth.RolePatch{Privileges: &[]string{"clusters:view", "alarms:view"}}, 0)
		require.NoError(w.t, err)
		require.True(w.t, w.s.Active(a.ClientID, a.ClientSecret, token))
		return nil
	}},
	{who: "helpdesk", name: "makes a role with more than it has", code: svcauth.CodeMissingPrivileges,
		missing: "billing:manage", call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateRole(ctx, svcauth.NewRole{Name: w.name(), Privileges: []string{"billing:manage"}}))
		}},
	{who: "helpdesk", name: "edits the role that it holds", code: svcauth.CodeMissingPrivileges,
		missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
			return second(c.UpdateRole(ctx, w.role["helpdesk"], 0,
				svcauth.RolePatch{Privileges: &[]string{"members:read", "members:manage", "roles:manage",
					"clusters:view", "clusters:edit"}}, 0))
		}},
	{who: "admin", name: "puts an unknown privilege on a role", code: svcauth.CodeInvalid, at: "body.privileges",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateRole(ctx, svcauth.NewRole{Name: w.name(), Privileges: []string{"clusters:explode"}}))
		}},
	{who: "admin", name: "gives a role's name twice", code: svcauth.CodeConflict,
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.CreateRole(ctx, svcauth.NewRole{Name: "viewer"}))
		}},
	{who: "admin", name: "edits Administrator", code: svcauth.CodeForbidden,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.UpdateRole(ctx, w.role[svcauth.RoleAdministrator], 0,
				svcauth.RolePatch{Privileges: &[]string{}}, 0))
		}},
	{who: "admin", name: "deletes Public", code: svcauth.CodeForbidden,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.DeleteRole(ctx, w.role[svcauth.RolePublic], 0))
		}},
	{who: "machine nothing", name: "reads roles", code: svcauth.CodeMissingPrivileges, missing: "members:read",
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.Roles(ctx, svcauth.ListOptions{}))
		}},
	{who: "machine nothing", name: "reads the catalogue", call: func(ctx context.Context, w *world, c calls) error {
		apis, err := c.APIs(ctx, svcauth.ListOptions{})
		require.NoError(w.t, err)
		require.GreaterOrEqual(w.t, len(apis.Items), 3)
		privileges, err := c.Privileges(ctx, svcauth.ListOptions{Limit: 200})
		require.NoError(w.t, err)
		require.True(w.t,
			slices.ContainsFunc(privileges.Items, func(p svcauth.Privilege) bool { return p.Name == "clusters:view" }))
		return nil
	}},
	{who: "machine nothing", name: "asks who it is", call: func(ctx context.Context, w *world, c calls) error {
		me, err := c.Me(ctx)
		require.NoError(w.t, err)
		require.Equal(w.t, svcauth.KindServiceAccount, me.Kind)
		require.Equal(w.t, "machine nothing", me.Name)
		require.Equal(w.t, w.s.Tenant.Organization.ID, me.Organization.ID)
		require.Empty(w.t, me.Privileges)
		require.Equal(w.t, []string{"nothing"}, me.Roles)
		return nil
	}},
}
