package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// furnished is a server with something on every page.
type furnished struct {
	*svctest.Server
	account svcauth.ServiceAccount
	member  svcauth.Member
	role    svcauth.Role
	key     svcauth.ApplicationKey
	admin   svcauth.Member // who made the key
	tenant  svcauth.Organization
	jti     string
	refused string // the id of a request of the account
	kid     string

	publicKey svcauth.Key
	federated svcauth.FederatedCredential
}

func furnish(t testing.TB, s *svctest.Server, mark string) furnished {
	t.Helper()
	f, ctx, admin := furnished{Server: s}, t.Context(), s.Admin()
	var err error
	f.role, err = admin.CreateRole(ctx, svcauth.NewRole{
		Name:        "Cluster operator" + mark,
		Description: "Runs clusters" + mark,
		Privileges:  []string{"clusters:view", "clusters:edit", "billing:view"},
	})
	require.NoError(t, err)
	f.account, err = admin.CreateServiceAccount(ctx, svcauth.NewServiceAccount{
		Name:        "terraform-production" + mark,
		Description: "Used by the platform team" + mark,
		RoleIDs:     []string{f.role.ID},
	})
	require.NoError(t, err)
	f.credentials(t, mark)
	expires := time.Now().Add(30 * 24 * time.Hour)
	_, err = admin.CreateSecret(ctx, f.account.ID, svcauth.NewSecretRequest{
		Description: "rotation" + mark,
		ExpiresAt:   &expires,
	})
	require.NoError(t, err)
	for range 3 {
		s.Token(f.account.ClientID, f.account.ClientSecret, "")
	}
	f.refused = s.Post("/oauth2/token", f.account.ClientID, f.account.ClientSecret,
		url.Values{"grant_type": {"client_credentials"}, "scope": {"no:such"}}).Header.Get("X-Request-Id")
	f.member, err = admin.InviteMember(ctx, svcauth.NewMember{
		Email:     "ann@example.com",
		FirstName: "Ann" + mark,
		LastName:  "Example" + mark,
		RoleIDs:   []string{f.role.ID},
	})
	require.NoError(t, err)
	f.key, err = admin.CreateApplicationKey(ctx, svcauth.NewApplicationKey{Description: "my laptop" + mark})
	require.NoError(t, err)
	made, err := admin.CreateOrganization(ctx, svcauth.NewOrganization{
		Name:       "tenant" + mark,
		AdminEmail: "eve@example.com",
	})
	require.NoError(t, err)
	f.tenant = made.Organization
	members, err := admin.Members(ctx, svcauth.ListOptions{})
	require.NoError(t, err)
	for _, m := range members.Items {
		if m.Email == svctest.AdminEmail {
			f.admin = m
		}
	}
	keys, err := admin.SigningKeys(ctx)
	require.NoError(t, err)
	f.kid = keys.Items[0].KID
	require.Eventually(t, func() bool { // records are written behind the answer
		tokens, err := admin.Tokens(ctx, f.account.ID, svcauth.ListOptions{})
		require.NoError(t, err)
		if len(tokens.Items) == 3 {
			f.jti = tokens.Items[0].JTI
		}
		return f.jti != ""
	}, patience, 50*time.Millisecond)
	return f
}

// credentials gives the account one of each kind beside secrets.
func (f *furnished) credentials(t testing.TB, mark string) {
	t.Helper()
	ctx, admin, account := t.Context(), f.Admin(), f.account.ID
	var err error
	f.publicKey, err = admin.CreateKey(ctx, account, svcauth.NewKey{
		JWK:         json.RawMessage(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`),
		Description: "signing machine" + mark,
	})
	require.NoError(t, err)
	f.federated, err = admin.CreateFederatedCredential(ctx, account, svcauth.NewFederatedCredential{
		Name: "deploy" + mark, Preset: svcauth.PresetGitHub, Description: "the workflow" + mark,
		Subject: "repo:acme/app:environment:production",
	})
	require.NoError(t, err)
	_, err = admin.CreateCertificate(ctx, account, svcauth.NewCertificate{
		SANURI: "spiffe://example.org/a-workload-with-a-rather-long-name/in/production", Description: "mesh" + mark,
	})
	require.NoError(t, err)
}

// follow has a resource server ask for the feed. It counts as connected for
// some minutes.
func (f *furnished) follow(t testing.TB, api svcauth.ServiceAccount, name, version string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, f.URL+"/oauth2/revocations", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+f.Token(api.ClientID, api.ClientSecret, ""))
	for header, value := range map[string]string{wire.HeaderName: name, wire.HeaderInstance: name + "-7d4b9f",
		wire.HeaderAudience: svctest.CloudAPI, wire.HeaderInterval: "1m", wire.HeaderVersion: version} {
		req.Header.Set(header, value)
	}
	require.Equal(t, http.StatusOK, f.Do(req).Status)
}

// pages are all that can be opened by an address, by name.
func (f furnished) pages() [][2]string {
	account := "/console/service-accounts/" + f.account.ID
	member := "/console/members/" + f.member.ID
	role := "/console/roles/" + f.role.ID
	secret := account + "/secrets/" + f.account.Secrets[0].ID
	ofAdmin := "/console/members/" + f.admin.ID + "/application-keys"
	return [][2]string{
		{"members", "/console/members"},
		{"members-search", "/console/members?q=nobody"},
		{"members-invite", "/console/members/invite"},
		{"member", member},
		{"member-roles", member + "/roles"},
		{"member-edit", member + "/edit"},
		{"member-suspend", member + "/suspend"},
		{"member-reset", member + "/reset"},
		{"member-remove", member + "/remove"},
		{"member-unassign", member + "/roles/" + f.role.ID + "/unassign"},
		{"member-keys", ofAdmin},
		{"member-keys-none", member + "/application-keys"},
		{"member-key-delete", ofAdmin + "/" + f.key.ID + "/delete"},
		{"accounts", "/console/service-accounts"},
		{"accounts-sorted", "/console/service-accounts?sort=-name"},
		{"accounts-new", "/console/service-accounts/new"},
		{"account", account},
		{"account-edit", account + "/edit"},
		{"account-disable", account + "/disable"},
		{"account-remove", account + "/remove"},
		{"account-roles", account + "/roles"},
		{"account-unassign", account + "/roles/" + f.role.ID + "/unassign"},
		{"account-credentials", account + "/credentials"},
		{"account-federated-new", account + "/federated-credentials/new?preset=github"},
		{"account-federated-kubernetes", account + "/federated-credentials/new?preset=kubernetes"},
		{"account-federated-other", account + "/federated-credentials/new"},
		{"account-federated-edit", account + "/federated-credentials/" + f.federated.ID + "/edit"},
		{"account-federated-use", account + "/federated-credentials/" + f.federated.ID + "/use"},
		{"account-federated-remove", account + "/federated-credentials/" + f.federated.ID + "/remove"},
		{"account-key-new", account + "/keys/new"},
		{"account-key-edit", account + "/keys/" + f.publicKey.ID + "/edit"},
		{"account-certificate-new", account + "/certificates/new"},
		{"trust-simulator", "/console/trust-simulator"},
		{"trust-simulator-example", "/console/trust-simulator?example=kubernetes"},
		{"account-secret-new", account + "/secrets/new"},
		{"account-secret-edit", secret + "/edit"},
		{"account-secret-remove", secret + "/remove"},
		{"account-tokens", account + "/tokens"},
		{"account-tokens-revoke", account + "/tokens/revoke"},
		{"account-refusals", account + "/refusals"},
		{"request", "/console/requests?id=" + f.refused},
		{"roles", "/console/roles"},
		{"role-new", "/console/roles/new"},
		{"role", role},
		{"role-delete", role + "/delete"},
		{"keys", "/console/application-keys"},
		{"keys-new", "/console/application-keys/new"},
		{"key-delete", "/console/application-keys/" + f.key.ID + "/delete"},
		{"audit-log", "/console/audit-log"},
		{"audit-log-filtered", "/console/audit-log?action=role.create"},
		{"signing-keys", "/console/signing-keys"},
		{"signing-keys-rotate", "/console/signing-keys/rotate"},
		{"signing-key-revoke", "/console/signing-keys/" + f.kid + "/revoke"},
		{"resource-servers", "/console/resource-servers"},
		{"apis", "/console/apis"},
		{"organizations", "/console/organizations"},
		{"organizations-new", "/console/organizations/new"},
		{"organizations-edit", "/console/organizations/" + f.tenant.ID + "/edit"},
		{"organizations-remove", "/console/organizations/" + f.tenant.ID + "/remove"},
		{"settings", "/console/settings"},
		{"profile", "/console/profile"},
		{"not-found", "/console/nothing"},
	}
}

// axe returns the source of axe-core, which make deps fetches. It is no part of
// this repository.
func axe(t testing.TB) string {
	t.Helper()
	for _, path := range []string{os.Getenv("SVCAUTH_AXE"),
		filepath.Join("..", "..", ".cache", "axe-core", "axe.min.js")} {
		if path == "" {
			continue
		}
		if source, err := os.ReadFile(path); err == nil {
			return string(source)
		}
	}
	t.Fatal("axe-core is not there: run `make deps`, or set SVCAUTH_AXE to the path of its axe.min.js")
	return ""
}

// violations returns what axe-core finds wrong with the page that is open. With
// only, it asks those rules alone, such as the one of colours if nothing else
// can have changed.
func violations(b *browser, source string, only ...string) string {
	b.t.Helper()
	options, err := json.Marshal(map[string]any{"resultTypes": []string{"violations"}})
	require.NoError(b.t, err)
	if len(only) > 0 {
		options, err = json.Marshal(map[string]any{"resultTypes": []string{"violations"}, "runOnly": only})
		require.NoError(b.t, err)
	}
	if !eval[bool](b, `!!window.axe`) {
		eval[bool](b, source+"; true")
	}
	eval[bool](b, `window.found = null; axe.run(document, `+string(options)+
		`).then(r => { window.found = JSON.stringify(r.violations.map(v => ({rule: v.id, help: v.help, at: v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary)}))) }, e => { window.found = 'axe failed: ' + e }); true`)
	deadline := time.Now().Add(patience)
	for {
		if found := eval[string](b, `window.found || ''`); found != "" {
			if found == "[]" {
				return ""
			}
			var pretty any
			if json.Unmarshal([]byte(found), &pretty) == nil {
				text, _ := json.MarshalIndent(pretty, "", "  ")
				return string(text)
			}
			return found
		}
		require.True(b.t, time.Now().Before(deadline), "axe-core did not end")
		time.Sleep(20 * time.Millisecond)
	}
}

// TestEveryPageIsAccessible visits every page, wide and narrow, light and dark.
// axe-core finds nothing, nothing sticks out at the side, and there is one main
// heading.
func TestEveryPageIsAccessible(t *testing.T) {
	svctest.Chromium(t)
	source := axe(t)
	f := furnish(t, svctest.New(t, svctest.Options{Environ: []string{svctest.ClaimsCatalog(t)}}), "")
	_, err := f.Admin().UpdateServiceAccount(t.Context(), f.account.ID, 0, svcauth.ServiceAccountPatch{
		DefaultResource: new(svctest.CloudAPI), Claims: &map[string]any{"tier": "gold", "customer": map[string]any{
			"id": "c-42", "a-member-with-a-rather-long-name": []string{"one-value-that-is-quite-long", "another"},
		}},
	}, 0)
	require.NoError(t, err)
	api := f.Account("api", svcauth.TokensIntrospect)
	for _, width := range []int64{1280, 768, 360} {
		f.follow(t, api, "example-api", wire.Version)
		f.follow(t, api, "billing-service-with-a-rather-long-name", "")
		light, dark := look{width, false}, look{width, true}
		t.Run(light.String(), func(t *testing.T) {
			b := open(t, f.Server, light)
			visit := func(name, path string) {
				b.scheme(false)
				b.goTo(path)
				b.picture("page-" + name + "-" + light.String())
				if found := violations(b, source); found != "" {
					t.Errorf("axe-core on %s (%s):\n%s", name, path, found)
				}
				if wide := eval[int](b,
					`document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide > 0 {
					t.Errorf("%s is %d px wider than the window", name, wide)
				}
				if n := eval[int](b, `document.querySelectorAll('h1').length`); n != 1 {
					t.Errorf("%s has %d main headings", name, n)
				}
				b.scheme(true)
				b.picture("page-" + name + "-" + dark.String())
				if found := violations(b, source, "color-contrast"); found != "" {
					t.Errorf("axe-core on %s in the dark (%s):\n%s", name, path, found)
				}
			}
			visit("sign-in", "/console/sign-in")
			invited, err := f.Admin().ResetMember(t.Context(), f.member.ID)
			require.NoError(t, err)
			visit("invitation", strings.TrimPrefix(invited.InvitationURL, f.Issuer))
			b.signIn(f.Server)
			for _, p := range f.pages() {
				visit(p[0], p[1])
			}
			// And it does find what is wrong, in the light and in the dark.
			eval[bool](b,
				`document.querySelector('main').insertAdjacentHTML('beforeend', '<img src="x"><p class="soft" id="faint">faint</p>'), document.getElementById('faint').style.color = '#333', true`)
			require.Contains(t, violations(b, source), "image-alt")
			require.Contains(t, violations(b, source, "color-contrast"), "faint")
		})
	}
}
