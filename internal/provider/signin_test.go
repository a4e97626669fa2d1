package provider

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestAWrongCredentialIsOneError checks that whatever is wrong with the way to
// the server is said once, in the plan, however many resources there are: some
// that are in the state, and some to be made.
func TestAWrongCredentialIsOneError(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	signedOut := ws.env
	many := func(count string) string {
		return strings.ReplaceAll(`
			resource "svcauth_role" "r" {
				count = COUNT
				name = "r${count.index}"
			}
			resource "svcauth_service_account" "a" {
				count = COUNT - 15
				name = "a${count.index}"
			}
			`, "COUNT", count)
	}
	w.signIn(ws)
	ws.write("main.tf", required+"provider \"svcauth\" {}\n"+many("20"))
	ws.must("apply", "-auto-approve")
	ws.write("main.tf", required+"provider \"svcauth\" {\n  max_retries = 0\n}\n"+many("40"))

	a := w.Account("terraform")
	expired, err := w.Admin().CreateSecret(t.Context(), a.ID, svcauth.NewSecretRequest{ExpiresAt: inHours(1)})
	require.NoError(t, err)
	_, err = w.Admin().DeleteSecret(t.Context(), a.ID, expired.ID, false, 0)
	require.NoError(t, err)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	key := w.Tenant.ApplicationKey
	for name, test := range map[string]struct{ url, id, secret, says string }{
		"mistyped": {
			url: w.URL, id: key.ClientID, secret: svcauth.NewSecret().Reveal(),
			says: `refuses the provider's credential .*on main.tf line 6, in provider "svcauth".* ` +
				`invalid_client: .*Credential: url from`,
		},
		"removed": {
			url: w.URL, id: a.ClientID, secret: expired.ClientSecret.Reveal(), says: `expired or removed`,
		},
		"no such client": {
			url: w.URL, id: "sa_01h455vb4pex5vsknk084sn02q", secret: expired.ClientSecret.Reveal(),
			says: `refuses the provider's credential`,
		},
		"nobody listens": {
			url: "http://127.0.0.1:1", id: key.ClientID, secret: key.ClientSecret.Reveal(),
			says: `No token could be had .*connection refused`,
		},
		"another server": {
			url: elsewhere.URL, id: key.ClientID, secret: key.ClientSecret.Reveal(),
			says: `No token could be had .*404`,
		},
		"half a credential": {
			url: w.URL, id: key.ClientID,
			says: `configuration is wrong .*SVCAUTH_CLIENT_ID is set, but neither`,
		},
		"none at all": {
			says: `Error: (Reading the|Nothing can be planned).* url, credential not set`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			ws.env = append(signedOut[:len(signedOut):len(signedOut)], "SVCAUTH_URL="+test.url,
				"SVCAUTH_CLIENT_ID="+test.id, "SVCAUTH_CLIENT_SECRET="+test.secret)
			out, err := ws.try("plan")
			require.Error(t, err)
			require.Regexp(t, test.says, out)
			require.Equal(t, 1, strings.Count(out, "Error: "), out)
			if test.secret != "" {
				require.NotContains(t, out, test.secret)
			}
		})
	}
}

// TestTheProvidersTokensAreBound: with one switch the provider signs in as an
// account whose tokens must be bound to a key (RFC 9449).
func TestTheProvidersTokensAreBound(t *testing.T) {
	w, ws := newWorld(t), newWorkspace(t)
	a := w.Account("terraform", svcauth.RolesManage)
	binding := svcauth.TokenBindingDPoP
	_, err := w.Admin().UpdateServiceAccount(t.Context(), a.ID, 0,
		svcauth.ServiceAccountPatch{TokenBinding: &binding}, 0)
	require.NoError(t, err)
	ws.env = append(ws.env, "SVCAUTH_URL="+w.URL, "SVCAUTH_CLIENT_ID="+a.ClientID,
		"SVCAUTH_CLIENT_SECRET="+a.ClientSecret.Reveal())
	const role = "resource \"svcauth_role\" \"r\" {\n  name = \"made with a proof\"\n}\n"
	ws.write("main.tf", required+"provider \"svcauth\" {}\n"+role)
	out, err := ws.try("plan")
	require.Error(t, err)
	require.Regexp(t, `must be bound`, out)
	ws.write("main.tf", required+"provider \"svcauth\" {\n  dpop = true\n}\n"+role)
	ws.must("apply", "-auto-approve")
	require.NotEmpty(t, w.roleNamed("made with a proof").ID)
}
