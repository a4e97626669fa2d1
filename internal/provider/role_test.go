package provider

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (w *world) roleNamed(name string) svcauth.Role {
	w.t.Helper()
	found, err := roleNamed(w.t.Context(), w.Admin(), name)
	require.NoError(w.t, err)
	return found
}

func TestRoleLives(t *testing.T) {
	w := newWorld(t)
	const address = "svcauth_role.ops"
	run(t,
		resource.TestStep{
			Config: w.config(`resource "svcauth_role" "ops" { name = "Operators" }`),
			Check: resource.ComposeTestCheckFunc(
				resource.TestCheckResourceAttr(address, "privileges.#", "0"),
				resource.TestCheckResourceAttr(address, "requires_binding", "false"),
				resource.TestCheckResourceAttr(address, "system", "false")),
		},
		resource.TestStep{Config: w.config(`resource "svcauth_role" "ops" {
			name = "Operators"
			description = "Run clusters"
			privileges = ["clusters:view", "clusters:create"]
			requires_binding = true
		}`), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate), Check: does(func() {
			require.Equal(t, []string{"clusters:create", "clusters:view"}, w.roleNamed("Operators").Privileges)
			require.True(t, w.roleNamed("Operators").RequiresBinding)
		})},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{
			ResourceName:      address,
			ImportState:       true,
			ImportStateVerify: true,
			ImportStateId:     "Operators",
		},
		resource.TestStep{PreConfig: func() { // changed outside: set right
			_, err := w.Admin().UpdateRole(t.Context(), w.roleNamed("Operators").ID, 0, svcauth.RolePatch{
				Privileges: &[]string{"clusters:suspend"},
			}, 0)
			require.NoError(t, err)
		}, Config: w.config(`resource "svcauth_role" "ops" {
			name = "Operators"
			privileges = ["clusters:view"]
		}`), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate), Check: does(func() {
			require.Equal(t, []string{"clusters:view"}, w.roleNamed("Operators").Privileges)
			require.False(t, w.roleNamed("Operators").RequiresBinding, "left out: the default")
		})},
		resource.TestStep{PreConfig: func() { // gone outside: made again
			_, err := w.Admin().DeleteRole(t.Context(), w.roleNamed("Operators").ID, 0)
			require.NoError(t, err)
		}, Config: w.config(`resource "svcauth_role" "ops" {
			name = "Operators"
			privileges = ["clusters:view"]
			requires_binding = true
			deletion_protection = true
		}`), ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate), Check: does(func() {
			require.True(t, w.roleNamed("Operators").RequiresBinding)
		})},
		resource.TestStep{Config: w.config(""), ExpectError: regexp.MustCompile("deletion_protection")},
		resource.TestStep{Config: w.config(`resource "svcauth_role" "ops" {
			name = "Operators"
			privileges = ["no:such"]
		}`), ExpectError: regexp.MustCompile(`(?s)privileges.*Unknown\s+privileges: no:such`)},
		resource.TestStep{Config: w.config(`resource "svcauth_role" "ops" { name = "Operators" }`)},
	)
	_, err := roleNamed(t.Context(), w.Admin(), "Operators")
	require.ErrorContains(t, err, "there is no role", "destroyed")
}

// Public can be given privileges by Terraform, once imported; and let go of,
// but not deleted.
func TestPublicIsImportedAndLetGo(t *testing.T) {
	w := newWorld(t)
	run(t,
		resource.TestStep{Config: w.config(`
			import {
				to = svcauth_role.public
				id = "Public"
			}
			resource "svcauth_role" "public" {
				name = "Public"
				description = %q
				privileges = ["clusters:view"]
			}`,
			w.roleNamed("Public").Description), Check: resource.ComposeTestCheckFunc(
			resource.TestCheckResourceAttr("svcauth_role.public", "system", "true"),
			does(func() { require.Equal(t, []string{"clusters:view"}, w.roleNamed("Public").Privileges) }))},
		resource.TestStep{
			Config:      w.config(""),
			ExpectError: regexp.MustCompile(`(?s)can't be deleted.*removed\s+block`),
		},
		resource.TestStep{Config: w.config(`
			removed {
				from = svcauth_role.public
				lifecycle { destroy = false }
			}`)},
	)
}

// TestGrantLives walks one grant of each kind of holder through its life.
func TestGrantLives(t *testing.T) {
	for kind, attribute := range map[string]string{
		"svcauth_service_account_role": "service_account_id",
		"svcauth_member_role":          "member_id",
	} {
		t.Run(kind, func(t *testing.T) { grantLives(t, kind, attribute) })
	}
}

func grantLives(t *testing.T, kind, attribute string) {
	w := newWorld(t)
	a, b, named := w.Account("a", "clusters:view").ID, w.Account("b").ID, "a/R"
	assign, unassign := w.Admin().AssignServiceAccountRole, w.Admin().UnassignServiceAccountRole
	if attribute == "member_id" {
		ann, err := w.Admin().InviteMember(t.Context(), svcauth.NewMember{
			Email:   "ann@example.com",
			RoleIDs: []string{w.roleNamed("Role of a").ID},
		})
		require.NoError(t, err)
		bob, err := w.Admin().InviteMember(t.Context(), svcauth.NewMember{Email: "bob@example.com"})
		require.NoError(t, err)
		a, b, named = ann.ID, bob.ID, "ann@example.com/R"
		assign, unassign = w.Admin().AssignMemberRole, w.Admin().UnassignMemberRole
	}
	base := w.config(`
		resource "svcauth_role" "r" {
			name = "R"
			privileges = ["clusters:create"]
		}`)
	address := kind + ".g"
	grant := func(holderID, more string) string {
		return base + fmt.Sprintf(`resource %q "g" {
			%s = %q
			role_id = svcauth_role.r.id
			%s
		}`, kind, attribute, holderID, more)
	}
	held := func(id string) map[string]string {
		all, err := holds(t.Context(), w.Admin(), id)
		require.NoError(t, err)
		ends := map[string]string{}
		for _, g := range all {
			if ends[g.Name] = "never"; g.ExpiresAt != nil {
				ends[g.Name] = g.ExpiresAt.UTC().Format(time.RFC3339)
			}
		}
		return ends
	}
	run(t,
		resource.TestStep{Config: grant("b", ""), ExpectError: regexp.MustCompile(`(?s)Not an id.*(sa|mem)_`)},
		resource.TestStep{
			Config: grant(a, ""),
			Check:  does(func() { require.Equal(t, map[string]string{"R": "never", "Role of a": "never"}, held(a)) }),
		},
		resource.TestStep{
			Config:           grant(a, `expires_at = "2099-01-01T01:00:00+01:00"`),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			Check:            does(func() { require.Equal(t, "2099-01-01T00:00:00Z", held(a)["R"]) }),
		},
		resource.TestStep{Config: grant(a, `expires_at = "2099-01-01T01:00:00+01:00"`), PlanOnly: true},
		resource.TestStep{
			ResourceName:            address,
			ImportState:             true,
			ImportStateVerify:       true,
			ImportStateVerifyIgnore: []string{"expires_at"},
			ImportStateId:           named,
		},
		resource.TestStep{
			ResourceName:            address,
			ImportState:             true,
			ImportStateVerify:       true,
			ImportStateVerifyIgnore: []string{"expires_at"},
			ImportStateIdFunc:       pairOf(address, attribute),
		},
		resource.TestStep{
			Config:      grant(a, `expires_at = "2001-01-01T00:00:00Z"`),
			ExpectError: regexp.MustCompile(`lies in the past`),
		},
		resource.TestStep{
			PreConfig: func() { // the expiry was taken away outside: shown, set right
				require.NoError(t, second(assign(t.Context(), a, w.roleNamed("R").ID, svcauth.GrantRequest{})))
			},
			Config:           grant(a, `expires_at = "2099-01-01T00:00:00Z"`),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
		},
		resource.TestStep{PreConfig: func() { // taken away outside
			require.NoError(t, second(unassign(t.Context(), a, w.roleNamed("R").ID, "", 0)))
		}, Config: grant(a, ""), ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate)},
		resource.TestStep{
			Config:           grant(b, ""),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			Check: does(func() {
				require.Equal(t, map[string]string{"Role of a": "never"}, held(a))
				require.Equal(t, map[string]string{"R": "never"}, held(b))
			}),
		},
		resource.TestStep{Config: base, Check: does(func() { require.Empty(t, held(b)) })},
	)
}

// pairOf makes the import id of a grant of its two ids.
func pairOf(address, holder string) resource.ImportStateIdFunc {
	return func(s *terraformState) (string, error) {
		of := s.RootModule().Resources[address].Primary.Attributes
		return of[holder] + "/" + of["role_id"], nil
	}
}

func TestGrantsAreTheWholeSet(t *testing.T) {
	w := newWorld(t)
	a := w.Account("a", "clusters:view") // holds a role that Terraform was not told of
	base := w.config(`
		resource "svcauth_role" "r1" { name = "R1" }
		resource "svcauth_role" "r2" { name = "R2" }`)
	const address = "svcauth_service_account_roles.all"
	all := func(ids string) string {
		return base + `resource "svcauth_service_account_roles" "all" {
			service_account_id = "` + a.ID + `"
			role_ids = ` + ids + `
		}`
	}
	holds := func(names ...string) resource.TestCheckFunc {
		return does(func() {
			held, err := holds(t.Context(), w.Admin(), a.ID)
			require.NoError(t, err)
			got := []string{}
			for _, g := range held {
				require.Nil(t, g.ExpiresAt)
				got = append(got, g.Name)
			}
			require.ElementsMatch(t, names, got)
		})
	}
	both := all(`[svcauth_role.r1.id, svcauth_role.r2.id]`)
	run(t,
		resource.TestStep{Config: all(`[svcauth_role.r1.id]`), Check: holds("R1")},
		resource.TestStep{
			Config:           both,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			Check:            holds("R1", "R2"),
		},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateId: "a"},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{PreConfig: func() { // one more, one with an expiry: both are differences
			extra, err := w.Admin().CreateRole(t.Context(), svcauth.NewRole{Name: "Extra"})
			require.NoError(t, err)
			require.NoError(t,
				second(w.Admin().AssignServiceAccountRole(t.Context(), a.ID, extra.ID, svcauth.GrantRequest{})))
			soon := svcauth.GrantRequest{ExpiresAt: inHours(5)}
			require.NoError(t,
				second(w.Admin().AssignServiceAccountRole(t.Context(), a.ID, w.roleNamed("R1").ID, soon)))
		}, Config: both, ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate), Check: holds("R1", "R2")},
		resource.TestStep{Config: all(`[]`), Check: holds()},
		resource.TestStep{PreConfig: func() {
			_, err := w.Admin().DeleteServiceAccount(t.Context(), a.ID, 0)
			require.NoError(t, err)
		}, Config: base},
	)
}
