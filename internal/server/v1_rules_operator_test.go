package server_test

import (
	"context"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/builtin"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var operatorRules = []rule{
	{who: "admin", name: "makes, renames and removes a tenant",
		call: func(ctx context.Context, w *world, c calls) error {
			made, err := c.CreateOrganization(ctx,
				svcauth.NewOrganization{Name: w.name(), AdminEmail: "a@tenant.example"})
			require.NoError(w.t, err)
			require.NotEmpty(w.t, made.InvitationURL)
			renamed, err := c.UpdateOrganizationByID(ctx, made.ID, made.Version,
				svcauth.OrganizationPatch{Name: ptr(w.name())})
			require.NoError(w.t, err)
			got, err := c.OrganizationByID(ctx, made.ID)
			require.NoError(w.t, err)
			require.Equal(w.t, renamed, got)
			_, err = c.DeleteOrganization(ctx, made.ID, 0)
			require.NoError(w.t, err)
			list, err := c.Organizations(ctx, svcauth.ListOptions{})
			require.NoError(w.t, err)
			require.Len(w.t, list.Items, 2)
			return nil
		}},
	{who: "admin", name: "removes the operator's own organization", code: svcauth.CodeConflict,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.DeleteOrganization(ctx, w.s.Tenant.Organization.ID, 0))
		}},
	{who: "tenant", name: "sees its own organization only", call: func(ctx context.Context, w *world, c calls) error {
		own, err := c.Organization(ctx)
		require.NoError(w.t, err)
		require.Equal(w.t, w.other.Organization.ID, own.ID)
		require.False(w.t, own.Operator)
		list, err := c.ServiceAccounts(ctx, svcauth.ListOptions{})
		require.NoError(w.t, err)
		require.Empty(w.t, list.Items)
		privileges, err := c.Privileges(ctx, svcauth.ListOptions{Limit: 200})
		require.NoError(w.t, err)
		require.False(w.t,
			slices.ContainsFunc(privileges.Items,
				func(p svcauth.Privilege) bool { return builtin.OperatorOnly(p.Name) }))
		return nil
	}},
	{who: "tenant", name: "lists organizations", code: svcauth.CodeMissingPrivileges, missing: "organizations:manage",
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.Organizations(ctx, svcauth.ListOptions{}))
		}},
	{who: "tenant", name: "reads its own organization as the operator does", code: svcauth.CodeMissingPrivileges,
		missing: "organizations:manage", call: func(ctx context.Context, w *world, c calls) error {
			return second(c.OrganizationByID(ctx, w.other.Organization.ID))
		}},
	{who: "tenant", name: "makes an organization", code: svcauth.CodeMissingPrivileges, missing: "organizations:manage",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateOrganization(ctx, svcauth.NewOrganization{Name: w.name(), AdminEmail: "a@b.example"}))
		}},
	{who: "tenant", name: "sees signing keys", code: svcauth.CodeMissingPrivileges, missing: "keys:manage",
		call: func(ctx context.Context, _ *world, c calls) error { return second(c.SigningKeys(ctx)) }},
	{who: "tenant", name: "rotates signing keys", code: svcauth.CodeMissingPrivileges, missing: "keys:manage",
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.RotateSigningKeys(ctx, svcauth.KeyRotation{}))
		}},
	{who: "tenant", name: "puts keys:manage on a role", code: svcauth.CodeInvalid, at: "body.privileges",
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.CreateRole(ctx, svcauth.NewRole{Name: w.name(), Privileges: []string{"keys:manage"}}))
		}},
	{who: "admin", name: "rotates signing keys, tokens live on",
		call: func(ctx context.Context, w *world, c calls) error {
			before, err := c.SigningKeys(ctx)
			require.NoError(w.t, err)
			after, err := c.RotateSigningKeys(ctx, svcauth.KeyRotation{})
			require.NoError(w.t, err)
			active := func(list svcauth.List[svcauth.SigningKey]) string {
				i := slices.IndexFunc(list.Items,
					func(k svcauth.SigningKey) bool { return k.State == svcauth.KeyActive })
				require.GreaterOrEqual(w.t, i, 0)
				return list.Items[i].KID
			}
			require.NotEqual(w.t, active(before), active(after))
			return second(c.Me(ctx))
		}},
	{who: "admin", name: "rotates the keys of one algorithm",
		call: func(ctx context.Context, w *world, c calls) error {
			before, err := c.SigningKeys(ctx)
			require.NoError(w.t, err)
			after, err := c.RotateSigningKeys(ctx, svcauth.KeyRotation{Algorithm: "ES256"})
			require.NoError(w.t, err)
			require.Len(w.t, after.Items, len(before.Items)+1)
			return nil
		}},
	{who: "admin", name: "rotates the keys of an algorithm that is not in use", code: svcauth.CodeInvalid,
		at: "body.algorithm", call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.RotateSigningKeys(ctx, svcauth.KeyRotation{Algorithm: "RS256"}))
		}},
	{who: "admin", name: "revokes a signing key that there is not", code: svcauth.CodeNotFound,
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.RevokeSigningKey(ctx, "nope"))
		}},
}
