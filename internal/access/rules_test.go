package access_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// things are what the calls of the table below are about.
type things struct {
	account svcauth.ServiceAccount
	secret  string
	role    svcauth.Role
	jti     string
}

// call is one method, with what it needs. Each must succeed for the
// administrator of the things' organization.
type call struct {
	name   string
	need   string // the privilege
	access bool   // a service account may only where the organization says so
	do     func(context.Context, *access.Service, things) error
}

func calls() []call {
	later := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	only := func(_ any, err error) error { return err }
	text, yes := "new text", true
	return []call{
		{"ServiceAccount", svcauth.MembersRead, false, func(ctx context.Context, s *access.Service, o things) error {
			return only(s.ServiceAccount(ctx, o.account.ID))
		}},
		{"Secrets", svcauth.MembersRead, false, func(ctx context.Context, s *access.Service, o things) error {
			return only(s.Secrets(ctx, o.account.ID))
		}},
		{"ServiceAccountRoles", svcauth.MembersRead, false,
			func(ctx context.Context, s *access.Service, o things) error {
				return only(s.ServiceAccountRoles(ctx, o.account.ID, svcauth.ListOptions{}))
			}},
		{"Tokens", svcauth.MembersRead, false, func(ctx context.Context, s *access.Service, o things) error {
			return only(s.Tokens(ctx, o.account.ID, svcauth.ListOptions{}))
		}},
		{"Role", svcauth.MembersRead, false,
			func(ctx context.Context, s *access.Service, o things) error { return only(s.Role(ctx, o.role.ID)) }},
		{"UpdateServiceAccount", svcauth.MembersManage, true,
			func(ctx context.Context, s *access.Service, o things) error {
				return only(s.UpdateServiceAccount(ctx, o.account.ID,
					0, svcauth.ServiceAccountPatch{Description: &text}))
			}},
		{"DisableServiceAccount", svcauth.MembersManage, true,
			func(ctx context.Context, s *access.Service, o things) error {
				return only(s.UpdateServiceAccount(ctx, o.account.ID, 0, svcauth.ServiceAccountPatch{Disabled: &yes}))
			}},
		{"CreateSecret", svcauth.MembersManage, true, func(ctx context.Context, s *access.Service, o things) error {
			return only(s.CreateSecret(ctx, o.account.ID, svcauth.NewSecretRequest{}))
		}},
		{"UpdateSecret", svcauth.MembersManage, true, func(ctx context.Context, s *access.Service, o things) error {
			return only(s.UpdateSecret(ctx, o.account.ID, o.secret, svcauth.SecretPatch{ExpiresAt: &later}))
		}},
		{"DeleteSecret", svcauth.MembersManage, true, func(ctx context.Context, s *access.Service, o things) error {
			return s.DeleteSecret(ctx, o.account.ID, o.secret, true)
		}},
		{"AssignServiceAccountRole", svcauth.MembersManage, true,
			func(ctx context.Context, s *access.Service, o things) error {
				return rules.Last(s.AssignServiceAccountRole(ctx, o.account.ID, o.role.ID,
					svcauth.GrantRequest{ExpiresAt: &later}))
			}},
		{"UnassignServiceAccountRole", svcauth.MembersManage, true,
			func(ctx context.Context, s *access.Service, o things) error {
				return s.UnassignServiceAccountRole(ctx, o.account.ID, o.role.ID, "")
			}},
		{"RevokeToken", svcauth.MembersManage, true, func(ctx context.Context, s *access.Service, o things) error {
			return s.RevokeToken(ctx, o.account.ID, o.jti)
		}},
		{"RevokeTokens", svcauth.MembersManage, true,
			func(ctx context.Context, s *access.Service, o things) error { return s.RevokeTokens(ctx, o.account.ID) }},
		{"DeleteServiceAccount", svcauth.MembersManage, true,
			func(ctx context.Context, s *access.Service, o things) error {
				return s.DeleteServiceAccount(ctx, o.account.ID)
			}},
		{"UpdateRole", svcauth.RolesManage, false, func(ctx context.Context, s *access.Service, o things) error {
			return only(s.UpdateRole(ctx, o.role.ID, 0, svcauth.RolePatch{Description: &text}))
		}},
		{"DeleteRole", svcauth.RolesManage, false,
			func(ctx context.Context, s *access.Service, o things) error { return s.DeleteRole(ctx, o.role.ID) }},
	}
}

func newThings(f *rules.Fixture) things {
	role := f.Role("Thing", rules.View)
	account := f.Account("thing", role)
	return things{account: account, secret: account.Secrets[0].ID, role: role, jti: f.Token(account.ID).JTI}
}

// TestWhoMay runs every call on a thing by id for everybody who may not, and at
// last for one who may.
func TestWhoMay(t *testing.T) {
	for _, c := range calls() {
		t.Run(c.name, func(t *testing.T) {
			f := rules.New(t, nil)
			o := newThings(f)
			rules.Problem(t, svcauth.CodeUnauthenticated, c.do(t.Context(), f.Access, o))
			rules.Problem(t, svcauth.CodeUnauthenticated,
				c.do(access.WithActor(t.Context(), access.Actor{Privileges: f.All(true)}), f.Access, o))

			others := without(f.All(true), c.need)
			if c.name == "Role" {
				others = without(others, svcauth.RolesManage)
			}
			p := rules.Problem(t, svcauth.CodeMissingPrivileges, c.do(f.Narrow(f.Admin(), others...), f.Access, o))
			require.Equal(t, []string{c.need}, p.Missing)

			// Another organization's Administrator has every privilege there,
			// and finds nothing here.
			_, stranger := f.Tenants("stranger")
			rules.Problem(t, svcauth.CodeNotFound, c.do(stranger, f.Access, o))

			machine := f.Account("machine", f.System(f.OrgID(), "administrator"))
			asMachine := f.Machine(f.OrgID(), machine)
			if c.access {
				p := rules.Problem(t, svcauth.CodeForbidden, c.do(asMachine, f.Access, o))
				require.Contains(t, p.Detail, "A service account may not manage access in this organization")
				require.Contains(t, p.Detail, "service_accounts_may_manage_access")
				f.AllowMachines()
				require.NoError(t, c.do(asMachine, f.Access, o))
				return
			}
			require.NoError(t, c.do(asMachine, f.Access, o))
		})
	}
}

// TestUnknownIDs checks that what is no id, and an id that nobody has, are not
// found. Neither reaches the database as a fault.
func TestUnknownIDs(t *testing.T) {
	ids := []things{
		{account: svcauth.ServiceAccount{ID: svcauth.NewID(svcauth.PrefixServiceAccount)},
			secret: svcauth.NewID(svcauth.PrefixSecret),
			role:   svcauth.Role{ID: svcauth.NewID(svcauth.PrefixRole)}, jti: "none"},
		{account: svcauth.ServiceAccount{ID: "sa_\x00"}, secret: "\x00", role: svcauth.Role{ID: "\xff"}, jti: "\x00"},
		{},
	}
	f := rules.New(t, nil)
	for _, c := range calls() {
		for _, o := range ids {
			rules.Problem(t, svcauth.CodeNotFound, c.do(f.Admin(), f.Access, o))
		}
	}
	// An account that exists does not make a role, secret or token that does
	// not.
	o := newThings(f)
	for _, c := range calls() {
		switch c.name {
		case "UpdateSecret", "DeleteSecret", "AssignServiceAccountRole", "UnassignServiceAccountRole", "RevokeToken":
			for _, none := range ids {
				none.account = o.account
				rules.Problem(t, svcauth.CodeNotFound, c.do(f.Admin(), f.Access, none))
			}
		}
	}
}

// TestRefusalsAreAudited checks that a change that a rule refuses leaves an
// event, readable whatever the caller sent.
func TestRefusalsAreAudited(t *testing.T) {
	f := rules.New(t, nil)
	o := newThings(f)
	_, reader := f.Member("reader@example.com", f.Role("Reader", svcauth.MembersRead))
	rules.Problem(t, svcauth.CodeMissingPrivileges, f.Access.DeleteServiceAccount(reader, o.account.ID))
	events := f.Audited(f.OrgID(), "service_account.delete")
	require.Len(t, events, 1)
	require.Equal(t, svcauth.OutcomeRefused, events[0].Outcome)
	require.Equal(t, "reader@example.com", events[0].Actor.Name)
	require.Equal(t, o.account.ID, events[0].Target.ID)
	require.Contains(t, events[0].Reason, svcauth.MembersManage)

	rules.Problem(t, svcauth.CodeNotFound, f.Access.DeleteServiceAccount(f.Admin(), "sa_\x00\xff"))
	require.Len(t, f.Audited(f.OrgID(), "service_account.delete"), 2)
	for _, e := range f.Audited(f.OrgID(), "service_account.delete") {
		require.NotContains(t, e.Target.ID, "\x00")
	}
	_, err := f.Access.CreateServiceAccount(reader, svcauth.NewServiceAccount{Name: "a\x00b"})
	rules.Problem(t, svcauth.CodeMissingPrivileges, err)
	require.True(t, slices.ContainsFunc(f.Audited(f.OrgID(), "service_account.create"),
		func(e svcauth.AuditEvent) bool { return e.Target.Name == "a?b" }))
}

// without lists what is in all and not in some.
func without(all []string, some ...string) (rest []string) {
	for _, one := range all {
		keep := true
		for _, s := range some {
			keep = keep && one != s
		}
		if keep {
			rest = append(rest, one)
		}
	}
	return rest
}
