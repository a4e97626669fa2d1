package server_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestRefusedSecretsAuthenticateNobody is contract §7: whoever knows the secret
// is told why, and what secrets obtained is revoked.
func TestRefusedSecretsAuthenticateNobody(t *testing.T) {
	p := newProtocol(t, svctest.Options{})
	admin, key := p.Admin(), p.Tenant.ApplicationKey
	a := p.Post("/oauth2/token", p.id, svcauth.Secret(p.secret), grantForm)
	token := a.JSON["access_token"].(string)
	introspect := func() any {
		return p.Post("/oauth2/introspect", key.ClientID, key.ClientSecret, url.Values{"token": {token}}).JSON["active"]
	}
	require.Equal(t, true, introspect())
	users, err := admin.SecretUsers(t.Context())
	require.NoError(t, err)
	require.Equal(t, "application_key", users.OwnCredential)
	refuse := svcauth.OrganizationPatch{SharedSecrets: new(svcauth.SharedSecretsRefused)}
	_, err = admin.UpdateOrganization(t.Context(), 0, refuse)
	require.ErrorContains(t, err, "confirm=true")
	refuse.Confirm = true
	changed, err := admin.UpdateOrganization(t.Context(), 0, refuse)
	require.NoError(t, err)
	require.Equal(t, svcauth.SharedSecretsRefused, changed.SharedSecrets)
	require.Equal(t, false, introspect())
	wrong := p.Post("/oauth2/token", p.id, svcauth.NewSecret(), grantForm)
	for _, endpoint := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"} {
		a = p.Post(endpoint, p.id, svcauth.Secret(p.secret), with("token", "x"))
		require.Equal(t, 401, a.Status)
		require.Equal(t, "invalid_client", a.JSON["error"])
		require.Contains(t, a.JSON["error_description"], "takes no client secrets")
		a = p.Post(endpoint, p.id, svcauth.NewSecret(), with("token", "x"))
		require.Equal(t, wrong.JSON["error_description"], a.JSON["error_description"])
	}

	// The administrator's own application key: it is said before, and stops.
	keys := svcauth.OrganizationPatch{ApplicationKeys: new(svcauth.ApplicationKeysRefused)}
	_, err = admin.UpdateOrganization(t.Context(), 0, keys)
	require.ErrorContains(t, err, "This request came by an application key")
	keys.Confirm = true
	_, err = admin.UpdateOrganization(t.Context(), 0, keys)
	require.NoError(t, err)
	a = p.Post("/oauth2/token", key.ClientID, key.ClientSecret, grantForm)
	require.Contains(t, a.JSON["error_description"], "takes no application keys")
	_, err = p.App.Access.UpdateOrganization(p.System(), 0,
		svcauth.OrganizationPatch{SharedSecrets: new(svcauth.SharedSecretsAllowed)})
	require.NoError(t, err)
	require.Equal(t, 200, p.Post("/oauth2/token", p.id, svcauth.Secret(p.secret), grantForm).Status)
}
