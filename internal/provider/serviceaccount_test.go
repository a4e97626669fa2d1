package provider

import (
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

type terraformState = terraform.State

func planned(address string, action plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, action)}}
}

func TestServiceAccountLives(t *testing.T) {
	w := newWorld(t)
	const address = "svcauth_service_account.ci"
	run(t,
		resource.TestStep{
			Config: w.config(`resource "svcauth_service_account" "ci" { name = "ci" }`),
			Check: resource.ComposeTestCheckFunc(
				resource.TestCheckResourceAttr(address, "disabled", "false"),
				resource.TestCheckResourceAttr(address, "token_ttl_seconds", "3600"),
				resource.TestCheckResourceAttr(address, "token_binding", "none"),
				resource.TestCheckResourceAttrPair(address, "id", address, "client_id"),
				does(func() { require.Empty(t, w.named("ci").Secrets, "it is made without a secret") })),
		},
		// In place: the id stays.
		resource.TestStep{Config: w.config(`resource "svcauth_service_account" "ci" {
			name = "ci-2"
			description = "Builds"
			disabled = true
			token_ttl_seconds = 60
			token_binding = "dpop"
		}`), ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate), Check: does(func() {
			a := w.named("ci-2")
			require.True(t, a.Disabled)
			require.Equal(t, 60, a.TokenTTLSeconds)
			require.Equal(t, "Builds", a.Description)
			require.Equal(t, svcauth.TokenBindingDPoP, a.TokenBinding)
		})},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateId: "ci-2"},
		// Changed outside: shown, and set right.
		resource.TestStep{
			PreConfig: func() {
				enabled, name := false, "renamed by hand"
				_, err := w.Admin().UpdateServiceAccount(t.Context(), w.named("ci-2").ID, 0,
					svcauth.ServiceAccountPatch{
						Disabled: &enabled,
						Name:     &name,
					}, 0)
				require.NoError(t, err)
			},
			Config: w.config(`resource "svcauth_service_account" "ci" {
			name = "ci-2"
			disabled = true
			deletion_protection = true
		}`),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			Check: resource.ComposeTestCheckFunc(resource.TestCheckResourceAttr(address, "token_ttl_seconds", "60"),
				does(func() {
					a := w.named("ci-2")
					require.True(t, a.Disabled)
					require.Equal(t, svcauth.TokenBindingNone, a.TokenBinding, "left out: the default")
				})),
		},
		resource.TestStep{
			Config: w.config(`resource "svcauth_service_account" "ci" {
			name = "ci-2"
			token_binding = "key"
		}`),
			ExpectError: regexp.MustCompile(`(?s)token_binding\s+value\s+must\s+be\s+one\s+of`),
		},
		resource.TestStep{
			Config:      w.config(""),
			ExpectError: regexp.MustCompile(`(?s)deletion_protection.*set\s+that\s+to\s+false`),
		},
		// Gone outside: made again, disabled from the start.
		resource.TestStep{
			PreConfig: func() {
				_, err := w.Admin().DeleteServiceAccount(t.Context(), w.named("ci-2").ID, 0)
				require.NoError(t, err)
			},
			Config: w.config(`resource "svcauth_service_account" "ci" {
			name = "ci-2"
			disabled = true
			token_binding = "mtls"
		}`),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
			Check: does(func() {
				a := w.named("ci-2")
				require.True(t, a.Disabled)
				require.Equal(t, svcauth.TokenBindingMTLS, a.TokenBinding)
			}),
		},
	)
	list, err := w.Admin().ServiceAccounts(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, list.Items, "destroyed")
}

func TestServiceAccountWhoseNameIsTakenSaysHowToImportIt(t *testing.T) {
	w := newWorld(t)
	w.Account("taken")
	run(t, resource.TestStep{
		Config:      w.config(`resource "svcauth_service_account" "x" { name = "taken" }`),
		ExpectError: regexp.MustCompile(`(?s)exists already.*terraform import`),
	},
		resource.TestStep{
			Config:      w.config(`resource "svcauth_service_account" "x" { name = " padded" }`),
			ExpectError: regexp.MustCompile(`white\s+space`),
		})
}
