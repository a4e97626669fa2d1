package provider

import (
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func inHours(n int) *time.Time {
	at := time.Now().Add(time.Duration(n) * time.Hour).UTC().Truncate(time.Second)
	return &at
}

func (w *world) member(email string) svcauth.Member {
	w.t.Helper()
	found, err := member(w.t.Context(), w.Admin(), email)
	require.NoError(w.t, err)
	return found
}

func TestMemberAndItsRolesLive(t *testing.T) {
	w := newWorld(t)
	text := func(email, more string) string {
		return w.config(`
			resource "svcauth_role" "r" { name = "R" }
			resource "svcauth_member" "ann" {
				email = %q
				first_name = "Ann"
				%s
			}
			resource "svcauth_member_role" "g" {
				member_id = svcauth_member.ann.id
				role_id = svcauth_role.r.id
			}`, email, more)
	}
	const address, grant = "svcauth_member.ann", "svcauth_member_role.g"
	run(t,
		resource.TestStep{
			Config:      text("bob@[192.0.2.1]", `last_name = "Smith"`),
			ExpectError: regexp.MustCompile(`Not\s+an\s+address`),
		},
		resource.TestStep{
			Config: text("ann@example.com", `last_name = "Smith"`),
			Check: resource.ComposeTestCheckFunc(resource.TestCheckResourceAttr(address, "status", "invited"),
				does(func() { require.Equal(t, "R", w.member("ann@example.com").Roles[0].Name) })),
		},
		resource.TestStep{
			Config:           text("ann@example.com", "last_name = \"Jones\"\nsuspended = true"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			Check:            resource.TestCheckResourceAttr(address, "suspended", "true"),
		},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{
			ResourceName:      address,
			ImportState:       true,
			ImportStateVerify: true,
			ImportStateId:     "ann@example.com",
		},
		resource.TestStep{
			ResourceName:      grant,
			ImportState:       true,
			ImportStateVerify: true,
			ImportStateIdFunc: pairOf(grant, "member_id"),
		},
		resource.TestStep{
			ResourceName:      grant,
			ImportState:       true,
			ImportStateVerify: true,
			ImportStateId:     "ann@example.com/R",
		},
		resource.TestStep{
			PreConfig: func() { // both changed outside
				last := "Brown"
				_, err := w.Admin().UpdateMember(t.Context(), w.member("ann@example.com").ID, 0, svcauth.MemberPatch{
					LastName: &last,
				}, 0)
				require.NoError(t, err)
				_, err = w.Admin().UnassignMemberRole(t.Context(), w.member("ann@example.com").ID, w.roleNamed("R").ID,
					"",
					0)
				require.NoError(t, err)
			},
			Config: text("ann@example.com", `last_name = "Smith"`),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
				plancheck.ExpectResourceAction(grant, plancheck.ResourceActionCreate)}},
		},
		resource.TestStep{
			Config:           text("bob@example.com", `last_name = "Smith"`),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace),
		},
		resource.TestStep{
			PreConfig: func() {
				_, err := w.Admin().DeleteMember(t.Context(), w.member("bob@example.com").ID, 0)
				require.NoError(t, err)
			},
			Config:           text("bob@example.com", `last_name = "Smith"`),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
		},
	)
	_, err := member(t.Context(), w.Admin(), "bob@example.com")
	require.ErrorContains(t, err, "there is no member", "destroyed")
}

// TestMemberAsTheServerHoldsIt: capitals in an address and empty names are the
// server's to judge, so that what it holds can be imported and planned.
func TestMemberAsTheServerHoldsIt(t *testing.T) {
	w := newWorld(t)
	_, err := w.Admin().InviteMember(t.Context(), svcauth.NewMember{Email: "Madonna@Example.com"})
	require.NoError(t, err)
	text := func(email string) string {
		return w.config(`resource "svcauth_member" "m" { email = %q }`, email)
	}
	const address = "svcauth_member.m"
	nothing := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	run(t,
		resource.TestStep{
			Config:             text("madonna@example.com"),
			ResourceName:       address,
			ImportState:        true,
			ImportStateId:      "MADONNA@example.com",
			ImportStatePersist: true,
		},
		resource.TestStep{Config: text("madonna@example.com"), ConfigPlanChecks: nothing},
		resource.TestStep{
			Config:           text("Madonna@example.com"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
		},
		resource.TestStep{Config: text("Madonna@example.com"), ConfigPlanChecks: nothing},
		resource.TestStep{
			Config:           text("prince@example.com"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace),
		},
	)
}
