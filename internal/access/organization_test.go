package access_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/builtin"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestOwnOrganization(t *testing.T) {
	f := rules.New(t, nil)
	org, err := f.Access.Organization(f.Admin())
	require.NoError(t, err)
	require.True(t, org.Operator)
	name, yes, long := "Acme", true, ""
	changed, err := f.Access.UpdateOrganization(f.Admin(), org.Version,
		svcauth.OrganizationPatch{Name: &name, ServiceAccountsMayManageAccess: &yes})
	require.NoError(t, err)
	require.Equal(t, "Acme", changed.Name)
	require.True(t, changed.ServiceAccountsMayManageAccess)
	_, err = f.Access.UpdateOrganization(f.Admin(), org.Version, svcauth.OrganizationPatch{Name: &name})
	rules.Problem(t, svcauth.CodePreconditionFailed, err)
	_, err = f.Access.UpdateOrganization(f.Admin(), 0, svcauth.OrganizationPatch{Name: &long})
	rules.Problem(t, svcauth.CodeInvalid, err)
	f.Tenants("other")
	taken := "OTHER"
	_, err = f.Access.UpdateOrganization(f.Admin(), 0, svcauth.OrganizationPatch{Name: &taken})
	rules.Problem(t, svcauth.CodeConflict, err)
	_, reader := f.Member("reader@example.com", f.Role("Readers", svcauth.MembersRead))
	_, err = f.Access.Organization(reader)
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	_, err = f.Access.UpdateOrganization(reader, 0, svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: &yes})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	done := 0
	for _, e := range f.Audited(f.OrgID(), "organization.update") {
		if e.Outcome == svcauth.OutcomeDone {
			done++
			require.Contains(t, string(e.Before), "default")
			require.Contains(t, string(e.After), "Acme")
		}
	}
	require.Equal(t, 1, done)
}

// A tenant's Administrator holds neither keys:manage nor organizations:manage,
// and an actor that claimed them is refused all the same.
func TestTenantCantReachForTheOperatorsPrivileges(t *testing.T) {
	f := rules.New(t, nil)
	tenant, boss := f.Tenants("tenant")
	id := tenant.Organization.ID
	actor, _ := access.ActorFrom(boss)
	require.NotContains(t, actor.Privileges, svcauth.KeysManage)
	require.NotContains(t, actor.Privileges, svcauth.OrganizationsManage)
	forged := actor
	forged.Privileges = append([]string{svcauth.KeysManage, svcauth.OrganizationsManage}, actor.Privileges...)
	kid := "x"
	calls := map[string]func(context.Context) error{
		"keys": func(ctx context.Context) error {
			_, err := f.Access.SigningKeys(ctx, svcauth.ListOptions{})
			return err
		},
		"rotate": func(ctx context.Context) error {
			return rules.Last(f.Access.RotateSigningKeys(ctx, svcauth.KeyRotation{}))
		},
		"revoke key": func(ctx context.Context) error { _, err := f.Access.RevokeSigningKey(ctx, kid); return err },
		"organizations": func(ctx context.Context) error {
			_, err := f.Access.Organizations(ctx, svcauth.ListOptions{})
			return err
		},
		"organization": func(ctx context.Context) error {
			_, err := f.Access.OrganizationByID(ctx,
				f.OrgID())
			return err
		},
		"own by id": func(ctx context.Context) error { _, err := f.Access.OrganizationByID(ctx, id); return err },
		"create": func(ctx context.Context) error {
			_, err := f.People.CreateOrganization(ctx, svcauth.NewOrganization{Name: "x", AdminEmail: "x@example.com"})
			return err
		},
		"update": func(ctx context.Context) error {
			_, err := f.Access.UpdateOrganizationByID(ctx, f.OrgID(), 0, svcauth.OrganizationPatch{})
			return err
		},
		"delete": func(ctx context.Context) error { return f.Access.DeleteOrganization(ctx, f.OrgID()) },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			rules.Problem(t, svcauth.CodeMissingPrivileges, call(boss))
			rules.Problem(t, svcauth.CodeForbidden, call(access.WithActor(t.Context(), forged)))
			rules.Problem(t, svcauth.CodeUnauthenticated, call(t.Context()))
		})
	}
	privileges, err := f.Access.Privileges(boss, svcauth.ListOptions{})
	require.NoError(t, err)
	for _, p := range privileges.Items {
		require.False(t, builtin.OperatorOnly(p.Name), p.Name)
	}
	for _, p := range []string{svcauth.KeysManage, svcauth.OrganizationsManage} {
		_, err = f.Access.CreateRole(access.WithActor(t.Context(), forged),
			svcauth.NewRole{Name: "r " + p, Privileges: []string{p}})
		rules.Problem(t, svcauth.CodeInvalid, err)
	}
}

// Another organization's ids are 404 everywhere.
func TestOtherOrganizationsMembersAreNotFound(t *testing.T) {
	f := rules.New(t, nil)
	role := f.Role("Viewers", rules.View)
	victim, _ := f.Member("victim@example.com", role)
	tenant, boss := f.Tenants("tenant")
	own := tenant.AdminID
	yes := true
	for name, call := range map[string]func() error{
		"get":   func() error { _, err := f.People.Member(boss, victim); return err },
		"roles": func() error { _, err := f.Access.MemberRoles(boss, victim, svcauth.ListOptions{}); return err },
		"update": func() error {
			_, err := f.People.UpdateMember(boss, victim, 0, svcauth.MemberPatch{Suspended: &yes})
			return err
		},
		"delete": func() error { return f.People.DeleteMember(boss, victim) },
		"reset":  func() error { _, err := f.People.ResetMember(boss, victim); return err },
		"assign to": func() error {
			return rules.Last(f.Access.AssignMemberRole(boss, victim,
				f.System(tenant.Organization.ID, store.RoleAdministrator).ID, svcauth.GrantRequest{}))
		},
		"assign": func() error {
			return rules.Last(f.Access.AssignMemberRole(boss, own, role.ID,
				svcauth.GrantRequest{}))
		},
		"unassign from": func() error { return f.Access.UnassignMemberRole(boss, victim, role.ID, "") },
		"unassign":      func() error { return f.Access.UnassignMemberRole(boss, own, role.ID, "") },
		"invite with": func() error {
			_, err := f.People.InviteMember(boss, svcauth.NewMember{Email: "x@example.com", RoleIDs: []string{role.ID}})
			return err
		},
		"nothing": func() error { _, err := f.People.Member(boss, "mem_\x00"); return err },
	} {
		rules.Problem(t, svcauth.CodeNotFound, call())
		_ = name
	}
	members, err := f.People.Members(boss, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Len(t, members.Items, 1)
	events, err := f.Access.AuditEvents(boss, svcauth.AuditFilter{Actor: f.Tenant.AdminID})
	require.NoError(t, err)
	require.Empty(t, events.Items)
	_, err = f.People.Member(f.Admin(), victim)
	require.NoError(t, err)
}

func TestTokenActor(t *testing.T) {
	f := rules.New(t, nil)
	f.Join(f.Admin(), "ann@example.com", f.Role("Viewers", rules.View, svcauth.MembersRead))
	key, claims := f.Key(f.InConsole("ann@example.com"))
	claims.Subject = key.Member.ID
	a, err := f.Access.TokenActor(t.Context(), claims)
	require.NoError(t, err)
	require.Equal(t, access.Actor{ID: key.Member.ID, Kind: svcauth.KindMember, Name: "ann@example.com",
		OrgID: f.OrgID(), Operator: true, ClientID: key.ID,
		Privileges: []string{rules.View, svcauth.MembersRead}}, a)
	me, err := f.Access.Me(access.WithActor(t.Context(), a))
	require.NoError(t, err)
	require.Equal(t, svcauth.Me{ID: a.ID, Kind: svcauth.KindMember, Name: "ann@example.com", ClientID: key.ID,
		Organization: svcauth.Ref{ID: f.OrgID(), Name: "default"}, Operator: true,
		Roles: []string{"Viewers"}, Privileges: []string{rules.View, svcauth.MembersRead}}, me)

	account := f.Account("robot")
	a, err = f.Access.TokenActor(t.Context(), f.Token(account.ID))
	require.NoError(t, err)
	require.Equal(t, svcauth.KindServiceAccount, a.Kind)
	require.Equal(t, "robot", a.Name)
	tenant, _ := f.Tenants("tenant")
	for name, c := range map[string]verify.Claims{
		"another organization's account": {Subject: account.ID, ClientID: account.ID, OrgID: tenant.Organization.ID},
		"another organization's member":  {Subject: key.Member.ID, ClientID: key.ID, OrgID: tenant.Organization.ID},
		"another member's key":           {Subject: tenant.AdminID, ClientID: key.ID, OrgID: f.OrgID()},
		"an account that acts for one":   {Subject: key.Member.ID, ClientID: account.ID, OrgID: f.OrgID()},
		"nobody":                         {Subject: "root", ClientID: "root", OrgID: f.OrgID()},
	} {
		_, err := f.Access.TokenActor(t.Context(), &c)
		rules.Problem(t, svcauth.CodeUnauthenticated, err)
		_ = name
	}
}

func TestAuditLogIsFilteredAndPaged(t *testing.T) {
	f := rules.New(t, nil)
	_, reader := f.Member("reader@example.com", f.Role("Readers", svcauth.AuditRead))
	since := f.Clock.Now().Add(time.Minute)
	var roles []svcauth.Role
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		f.Clock.Advance(time.Minute)
		roles = append(roles, f.Role(name))
	}
	names := func(filter svcauth.AuditFilter) (all []string) {
		t.Helper()
		for {
			page, err := f.Access.AuditEvents(reader, filter)
			require.NoError(t, err)
			for _, e := range page.Items {
				all = append(all, e.Target.Name)
			}
			if page.NextCursor == nil {
				return all
			}
			filter.Cursor = *page.NextCursor
			f.Clock.Advance(time.Minute)
			f.Role("later " + f.Clock.Now().String()[:19]) // others write meanwhile
		}
	}
	f.Clock.Advance(time.Hour)
	until := f.Clock.Now()
	require.Equal(t, []string{"e", "d", "c", "b", "a"},
		names(svcauth.AuditFilter{ListOptions: svcauth.ListOptions{Limit: 2}, Action: "role.create", Since: since,
			Until: until}))
	require.Equal(t, []string{"c"}, names(svcauth.AuditFilter{Target: roles[2].ID}))
	require.Equal(t, []string{"b", "a"}, names(svcauth.AuditFilter{Since: since, Until: since.Add(2 * time.Minute)}))
	require.Empty(t, names(svcauth.AuditFilter{Actor: svcauth.NewID(svcauth.PrefixMember)}))
	require.Equal(t, []string{"c"}, names(svcauth.AuditFilter{Target: "c"}))
	require.Equal(t, []string{"e", "d", "c", "b", "a"}, names(svcauth.AuditFilter{Actor: "Admin@example.com",
		Action: "role.delete,role.create", Since: since, Until: until}))
	require.NoError(t, f.Audit.Number(t.Context(), f.Clock.Now()))
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, names(svcauth.AuditFilter{Order: svcauth.OrderAscending,
		ListOptions: svcauth.ListOptions{Limit: 2}, Action: "role.*", Since: since, Until: until}))
	for _, bad := range []svcauth.AuditFilter{{Actor: "a\x00b"}, {Since: until, Until: since},
		{Actor: "mem_nobody"}, {Actor: "nobody@example.com"}, {Target: "nothing"}, {Action: "role.creat"},
		{Order: "up"}, {After: svcauth.NewID(svcauth.PrefixEvent)},
		{Order: svcauth.OrderAscending, After: svcauth.NewID(svcauth.PrefixEvent)},
		{Order: svcauth.OrderAscending, After: "evt_1"},
		{ListOptions: svcauth.ListOptions{Limit: 1000}}, {ListOptions: svcauth.ListOptions{Cursor: "?"}}} {
		_, err := f.Access.AuditEvents(reader, bad)
		rules.Problem(t, svcauth.CodeInvalid, err)
	}
	_, other := f.Member("other@example.com", f.Role("Others", svcauth.MembersRead))
	_, err := f.Access.AuditEvents(other, svcauth.AuditFilter{})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
}
