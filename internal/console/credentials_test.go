package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestAccountWithoutSecretTrustsGitHub walks from a new account to the first
// rule that a token fails, without JavaScript.
func TestAccountWithoutSecretTrustsGitHub(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	made := p.post("/console/service-accounts", url.Values{
		"name": {"ci"}, "no_secret": {"yes"}, "once": {p.field("/console/service-accounts/new", onceField)},
	})
	require.Equal(t, http.StatusSeeOther, made.status)
	list, err := s.Admin().ServiceAccounts(t.Context(), svcauth.ListOptions{Name: "ci"})
	require.NoError(t, err)
	account := "/console/service-accounts/" + list.Items[0].ID
	require.Empty(t, list.Items[0].Secrets)
	require.Equal(t, account+"/credentials", made.header.Get("Location"))
	require.Equal(t, account+"/credentials", p.get(account+"/secrets").header.Get("Location"), "the old address")

	form := account + "/federated-credentials/new"
	wants := url.Values{
		"preset": {svcauth.PresetGitHub}, "name": {"deploy"}, "repository": {"acme/app"}, "repository_id": {"7"},
		"repository_owner_id": {"3"}, "environment": {"production"},
		"once": {p.field(form+"?preset=github", onceField)},
	}
	a := p.post(form, wants)
	require.Equal(t, 200, a.status)
	require.Contains(t, a.body, "SVCAUTH_CLIENT_ID: "+list.Items[0].ID)
	require.Contains(t, a.body, "id-token: write")
	federated, err := s.Admin().FederatedCredentials(t.Context(), list.Items[0].ID)
	require.NoError(t, err)
	require.Equal(t, "7", federated.Items[0].Claims["repository_id"])
	require.Contains(t, p.get(account+"/credentials").body, "environment production")

	a = p.post("/console/trust-simulator", url.Values{"account": {list.Items[0].ID}, "token": {
		`{"iss":"https://token.actions.githubusercontent.com","sub":"x","repository_id":"8"}`,
	}})
	require.Equal(t, 200, a.status)
	require.Contains(t, a.body, "Does not fit")
	a = p.post("/console/trust-simulator", url.Values{"token": {"eyJhbGciOi.nonsense"}})
	require.NotContains(t, a.body, "eyJhbGciOi", "what was pasted is not shown again")

	remove := account + "/federated-credentials/" + federated.Items[0].ID + "/remove"
	require.Contains(t, p.get(remove).body, federated.Items[0].ID)
	require.Equal(t, http.StatusSeeOther, p.post(remove, url.Values{"revoke_tokens": {"yes"}}).status)
	require.Equal(t, 404, p.get(remove).status)
}

// TestSettingsSayWhomRefusedSecretsStop checks that nothing happens before it
// is confirmed.
func TestSettingsSayWhomRefusedSecretsStop(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	s.Account("nightly")
	form := url.Values{
		"name": {"default"}, "shared_secrets": {"refused"}, "application_keys": {"allowed"},
		"version": {p.field("/console/settings", versionField)},
	}
	a := p.post("/console/settings", form)
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Contains(t, a.body, "nightly (never used)")
	require.Contains(t, a.body, "Go ahead and stop them")
	organization, err := s.Admin().Organization(t.Context())
	require.NoError(t, err)
	require.Equal(t, svcauth.SharedSecretsAllowed, organization.SharedSecrets)
	form.Set("confirm", "yes")
	require.Equal(t, http.StatusSeeOther, p.post("/console/settings", form).status)
	organization, err = s.Admin().Organization(t.Context())
	require.NoError(t, err)
	require.Equal(t, svcauth.SharedSecretsRefused, organization.SharedSecrets)
}
