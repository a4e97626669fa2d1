package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// badge is a way to authenticate that only this test has: an assertion that is
// right if it reads so, and that may be used once.
type badge struct{ used map[string]bool }

const badgeType = "urn:example:badge"

var wrongBadge = &clientauth.Mismatch{
	Credential: "badge", Word: "badge", Reason: "wrong_badge",
	Description: "client authentication failed: the badge is wrong",
}

func (badge) Names() []string                    { return []string{"example_badge"} }
func (badge) Costly() bool                       { return false }
func (badge) Present(r *clientauth.Request) bool { return r.AssertionType == badgeType }
func (badge) ClientID(_ context.Context, r *clientauth.Request) (string, error) {
	return r.ClientID, nil
}

func (b badge) Verify(_ context.Context, r *clientauth.Request, client *clientauth.Client) (clientauth.Proof, error) {
	if number, ok := strings.CutPrefix(r.Assertion, "right "); ok && client.Known {
		return clientauth.Proof{CredentialID: "badge_1", Kind: "badge", Commit: func(context.Context) error {
			if b.used[number] {
				return oautherr.New(oautherr.CodeInvalidClient, "used_badge", "the badge was used before")
			}
			b.used[number] = true
			return nil
		}}, nil
	}
	return clientauth.Proof{}, wrongBadge
}

// A method is one type: the endpoints, the metadata and the order of the steps
// know nothing of it (RFC 6749 §2.3).
func TestAFurtherMethodIsOneType(t *testing.T) {
	s := svctest.New(t, svctest.Options{ClientMethods: []clientauth.Method{badge{map[string]bool{}}}})
	a := s.Account("account", "clusters:view")
	with := func(id, assertion string) url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {id},
			"client_assertion_type": {badgeType}, "client_assertion": {assertion}}
	}
	got := s.Post("/oauth2/token", "", "", with(a.ID, "right 1"))
	require.Equal(t, http.StatusOK, got.Status, got.Text)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(got.JSON["access_token"].(string), ".")[1])
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(payload, &claims))
	require.Equal(t, "badge_1", claims["cred"])
	require.Equal(t, a.ID, claims["client_id"])

	refused := func(form url.Values, id string, secret svcauth.Secret, status int, code string) string {
		t.Helper()
		got := s.Post("/oauth2/token", id, secret, form)
		require.Equal(t, status, got.Status, got.Text)
		require.Equal(t, code, got.JSON["error"])
		return got.JSON["error_description"].(string)
	}
	require.Contains(t, refused(with(a.ID, "right 1"), "", "", 401, "invalid_client"), "used before")
	wrong := refused(with(a.ID, "wrong"), "", "", 401, "invalid_client")
	unknown := refused(with(svcauth.NewID(svcauth.PrefixServiceAccount), "right 2"), "", "", 401, "invalid_client")
	require.Equal(t, wrong, unknown)

	// Two methods at once, whichever they are.
	require.Contains(t, refused(with(a.ID, "right 3"), a.ID, a.ClientSecret, 400, "invalid_request"), "two ways")
	both := with(a.ID, "right 3")
	both.Set("client_secret", a.ClientSecret.Reveal())
	require.Contains(t, refused(both, "", "", 400, "invalid_request"), "two ways")

	// What is refused for another reason uses nothing up.
	narrow := with(a.ID, "right 3")
	narrow.Set("scope", "no:such")
	refused(narrow, "", "", 400, "invalid_scope")
	require.Equal(t, http.StatusOK, s.Post("/oauth2/token", "", "", with(a.ID, "right 3")).Status)

	metadata := s.Get("/.well-known/oauth-authorization-server", "").JSON
	require.Contains(t, metadata["token_endpoint_auth_methods_supported"], "client_secret_basic")
	require.Contains(t, metadata["token_endpoint_auth_methods_supported"], "example_badge")
	require.Equal(t, []any{"client_credentials", clientauth.GrantTokenExchange}, metadata["grant_types_supported"])
}
