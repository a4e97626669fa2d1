package server_test

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var memberRules = []rule{
	{who: "admin", name: "invites a member", call: func(ctx context.Context, w *world, c calls) error {
		m, err := c.InviteMember(ctx, svcauth.NewMember{Email: "ann@example.com", FirstName: "Ann", LastName: "B",
			RoleIDs: []string{w.role["viewer"]}})
		require.NoError(w.t, err)
		require.NotEmpty(w.t, m.InvitationURL)
		require.Equal(w.t, svcauth.MemberInvited, m.Status)
		got, err := c.Member(ctx, m.ID)
		require.NoError(w.t, err)
		require.Empty(w.t, got.InvitationURL)
		return nil
	}},
	{who: "admin", name: "invites an address twice", code: svcauth.CodeConflict,
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.InviteMember(ctx,
				svcauth.NewMember{Email: svctest.AdminEmail, FirstName: "A", LastName: "B"}))
		}},
	{who: "admin", name: "invites what is no address", code: svcauth.CodeInvalid, at: "body.email",
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.InviteMember(ctx, svcauth.NewMember{Email: "nobody", FirstName: "A", LastName: "B"}))
		}},
	{who: "helpdesk", name: "invites with more than it has", code: svcauth.CodeMissingPrivileges,
		missing: "clusters:edit", call: func(ctx context.Context, w *world, c calls) error {
			return second(c.InviteMember(ctx, svcauth.NewMember{Email: "eve@example.com", FirstName: "E", LastName: "V",
				RoleIDs: []string{w.role["editor"]}}))
		}},
	{who: "helpdesk", name: "makes itself Administrator", code: svcauth.CodeMissingPrivileges,
		call: func(ctx context.Context, w *world, c calls) error {
			me, err := c.Me(ctx)
			require.NoError(w.t, err)
			return second(c.AssignMemberRole(ctx, me.ID, w.role[svcauth.RoleAdministrator], svcauth.GrantRequest{}))
		}},
	{who: "helpdesk", name: "resets an Administrator's password", code: svcauth.CodeMissingPrivileges,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.ResetMember(ctx, w.s.Tenant.AdminID))
		}},
	{who: "admin", name: "resets a member's password", call: func(ctx context.Context, w *world, c calls) error {
		m, err := c.ResetMember(ctx, w.member("viewer").ID)
		require.NoError(w.t, err)
		require.NotEmpty(w.t, m.InvitationURL)
		return nil
	}},
	{who: "admin", name: "removes the last Administrator", code: svcauth.CodeConflict,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.DeleteMember(ctx, w.s.Tenant.AdminID, 0))
		}},
	{who: "admin", name: "suspends the last Administrator", code: svcauth.CodeConflict,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.UpdateMember(ctx, w.s.Tenant.AdminID, 0, svcauth.MemberPatch{Suspended: ptr(true)}, 0))
		}},
	{who: "admin", name: "takes Administrator from the last one", code: svcauth.CodeConflict,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.UnassignMemberRole(ctx, w.s.Tenant.AdminID, w.role[svcauth.RoleAdministrator], "", 0))
		}},
	{who: "admin", name: "changes a member, then an older version of it", code: svcauth.CodePreconditionFailed,
		call: func(ctx context.Context, w *world, c calls) error {
			m := w.member()
			changed, err := c.UpdateMember(ctx, m.ID, m.Version, svcauth.MemberPatch{FirstName: ptr("New")}, 0)
			require.NoError(w.t, err)
			require.Equal(w.t, "New", changed.FirstName)
			return second(c.UpdateMember(ctx, m.ID, m.Version, svcauth.MemberPatch{FirstName: ptr("Newer")}, 0))
		}},
	{who: "admin", name: "removes a member: its key's tokens die, the account it made lives",
		call: func(ctx context.Context, w *world, c calls) error {
			m, key := join(w.t, w.s, w.admin, "leaver@example.com", w.role["helpdesk"])
			left, err := w.s.Client(key.ClientID, key.ClientSecret).CreateServiceAccount(ctx,
				svcauth.NewServiceAccount{Name: w.name(), RoleIDs: []string{w.role["viewer"]}})
			require.NoError(w.t, err)
			token := w.s.OwnToken(key.ClientID, key.ClientSecret)
			require.Equal(w.t, 200, w.s.Get("/v1/me", token).Status)
			_, err = c.DeleteMember(ctx, m.ID, 0)
			require.NoError(w.t, err)
			require.Equal(w.t, 401, w.s.Get("/v1/me", token).Status)
			got, err := c.ServiceAccount(ctx, left.ID)
			require.NoError(w.t, err)
			require.Equal(w.t, svcauth.Creator{ID: m.ID, Email: "leaver@example.com"}, got.CreatedBy,
				"it keeps its text")
			w.s.Token(left.ClientID, left.ClientSecret, "")
			return nil
		}},
	{who: "admin", name: "suspends a member: its key's tokens die",
		call: func(ctx context.Context, w *world, c calls) error {
			m, key := join(w.t, w.s, w.admin, "paused@example.com", w.role["helpdesk"])
			token := w.s.OwnToken(key.ClientID, key.ClientSecret)
			changed, err := c.UpdateMember(ctx, m.ID, 0, svcauth.MemberPatch{Suspended: ptr(true)}, 0)
			require.NoError(w.t, err)
			require.Equal(w.t, svcauth.MemberSuspended, changed.Status)
			require.Equal(w.t, 401, w.s.Get("/v1/me", token).Status)
			return nil
		}},
	{who: "admin", name: "takes a role from a member twice", call: func(ctx context.Context, w *world, c calls) error {
		m := w.member("viewer")
		for range 2 {
			require.NoError(w.t, second(c.UnassignMemberRole(ctx, m.ID, w.role["viewer"], "", 0)))
		}
		return nil
	}},
	{who: "admin", name: "replaces a member's grant, then deletes what it replaced",
		call: func(ctx context.Context, w *world, c calls) error {
			m := w.member("viewer")
			first, err := c.MemberRoles(ctx, m.ID, svcauth.ListOptions{})
			require.NoError(w.t, err)
			next := svcauth.GrantRequest{ID: svcauth.NewID(svcauth.PrefixGrant)}
			require.NoError(w.t, second(c.AssignMemberRole(ctx, m.ID, w.role["viewer"], next)))
			require.NoError(w.t, second(c.UnassignMemberRole(ctx, m.ID, w.role["viewer"], first.Items[0].ID, 0)))
			held, err := c.MemberRoles(ctx, m.ID, svcauth.ListOptions{})
			require.NoError(w.t, err)
			require.Equal(w.t, next.ID, held.Items[0].ID)
			return nil
		}},
	{who: "admin", name: "gives a member a role for a time, then for good",
		call: func(ctx context.Context, w *world, c calls) error {
			m := w.member()
			for _, end := range []*time.Time{&future, &future, nil} {
				require.NoError(w.t,
					second(c.AssignMemberRole(ctx, m.ID, w.role["viewer"], svcauth.GrantRequest{ExpiresAt: end})))
				held, err := c.MemberRoles(ctx, m.ID, svcauth.ListOptions{})
				require.NoError(w.t, err)
				require.Len(w.t, held.Items, 1)
				require.Equal(w.t, end == nil, held.Items[0].ExpiresAt == nil)
				require.True(w.t, end == nil || end.Equal(*held.Items[0].ExpiresAt))
			}
			return nil
		}},
	{who: "admin", name: "gives a member a role until a moment that has passed", code: svcauth.CodeInvalid,
		at: "body.expires_at", call: func(ctx context.Context, w *world, c calls) error {
			return second(c.AssignMemberRole(ctx, w.member().ID, w.role["viewer"],
				svcauth.GrantRequest{ExpiresAt: &past}))
		}},
	{who: "admin", name: "gives the last Administrator an end", code: svcauth.CodeConflict,
		call: func(ctx context.Context, w *world, c calls) error {
			return second(c.AssignMemberRole(ctx, w.s.Tenant.AdminID, w.role[svcauth.RoleAdministrator],
				svcauth.GrantRequest{ExpiresAt: &future}))
		}},
	{who: "machine helpdesk", name: "invites a member with the setting off", code: svcauth.CodeForbidden,
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.InviteMember(ctx, svcauth.NewMember{Email: "m@example.com", FirstName: "A", LastName: "B"}))
		}},
	{who: "machine nothing", name: "reads members", code: svcauth.CodeMissingPrivileges, missing: "members:read",
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.Members(ctx, svcauth.ListOptions{}))
		}},
	{who: "admin", name: "reads what was refused", call: func(ctx context.Context, w *world, c calls) error {
		list, err := c.AuditEvents(ctx, svcauth.AuditFilter{Action: "member.delete", Target: w.s.Tenant.AdminID})
		require.NoError(w.t, err)
		require.Len(w.t, list.Items, 1)
		require.Equal(w.t, svcauth.OutcomeRefused, list.Items[0].Outcome)
		require.NotEmpty(w.t, list.Items[0].Reason)
		require.Equal(w.t, svctest.AdminEmail, list.Items[0].Actor.Name)
		return nil
	}},
	{who: "helpdesk", name: "reads the audit log", code: svcauth.CodeMissingPrivileges, missing: "audit:read",
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.AuditEvents(ctx, svcauth.AuditFilter{}))
		}},
	{who: "admin", name: "uses a cursor that is none", code: svcauth.CodeInvalid, at: "query.cursor",
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.Members(ctx, svcauth.ListOptions{Cursor: "nonsense"}))
		}},
	{who: "admin", name: "wants a page of 201", code: svcauth.CodeInvalid, at: "query.limit",
		call: func(ctx context.Context, _ *world, c calls) error {
			return second(c.Members(ctx, svcauth.ListOptions{Limit: 201}))
		}},
}
