package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// No API can replay at /v1 what it received: the issuer is an audience only if
// a request asks for it, or for nothing else.
func TestIssuerIsAnAudienceOnlyIfAskedFor(t *testing.T) {
	const api, billing = "https://api.cloud.example", "https://billing.cloud.example"
	s := svctest.New(t, svctest.Options{})
	both := s.Account("both", "clusters:view", "billing:view", svcauth.MembersRead, svcauth.AuditRead)
	own := s.Account("own", svcauth.MembersRead)
	apis := s.Account("apis", "clusters:view")
	none := s.Account("none")
	type expected struct {
		aud   []string
		scope string
		full  bool
		error string
	}
	for name, c := range map[string]struct {
		account svcauth.ServiceAccount
		form    url.Values
		want    expected
	}{
		"nothing asked": {both, grantForm,
			expected{aud: []string{billing, api}, scope: "billing:view clusters:view", full: true}},
		"the alias": {both, with("scope", "all-apis"),
			expected{aud: []string{billing, api}, scope: "billing:view clusters:view", full: true}},
		"the alias beside an API's": {both, with("scope", "all-apis clusters:view"),
			expected{aud: []string{billing, api}, scope: "billing:view clusters:view"}},
		"one API's": {both, with("scope", "clusters:view"),
			expected{aud: []string{api}, scope: "clusters:view"}},
		"the issuer's own": {both, with("scope", "members:read"),
			expected{aud: []string{s.Issuer}, scope: "members:read"}},
		"mixed": {both, with("scope", "members:read clusters:view"),
			expected{error: "invalid_target"}},
		"the alias beside the issuer's": {both, with("scope", "all-apis members:read"),
			expected{error: "invalid_target"}},
		"the issuer": {both, with("resource", s.Issuer),
			expected{aud: []string{s.Issuer}, scope: "audit:read members:read", full: true}},
		"the alias at the issuer": {both, with("resource", s.Issuer, "scope", "all-apis"),
			expected{aud: []string{s.Issuer}, scope: "audit:read members:read", full: true}},
		"a scope at the issuer": {both, with("resource", s.Issuer, "scope", "audit:read"),
			expected{aud: []string{s.Issuer}, scope: "audit:read"}},
		"an API": {both, with("resource", api),
			expected{aud: []string{api}, scope: "clusters:view", full: true}},
		"the issuer and an API": {both, url.Values{"grant_type": {"client_credentials"},
			"resource": {s.Issuer, api}},
			expected{aud: []string{s.Issuer, api}, scope: "audit:read clusters:view members:read", full: true}},
		"mixed, with both resources": {both, url.Values{"grant_type": {"client_credentials"},
			"resource": {s.Issuer, api}, "scope": {"members:read clusters:view"}},
			expected{aud: []string{s.Issuer, api}, scope: "clusters:view members:read"}},
		"nothing but the issuer's": {own, grantForm,
			expected{aud: []string{s.Issuer}, scope: "members:read", full: true}},
		"nothing but the issuer's, alias": {own, with("scope", "all-apis"),
			expected{aud: []string{s.Issuer}, full: true}},
		"only an API's, at the issuer": {apis, with("resource", s.Issuer),
			expected{aud: []string{s.Issuer}, full: true}},
		"no privilege":                     {none, grantForm, expected{aud: []string{s.Issuer}, full: true}},
		"no privilege, the issuer's asked": {none, with("scope", "members:read"), expected{error: "invalid_scope"}},
		"another API's, of one resource": {both, with("resource", s.Issuer, "scope", "clusters:view"),
			expected{error: "invalid_scope"}},
		"the issuer's, of another resource": {both, with("resource", api, "scope", "members:read"),
			expected{error: "invalid_scope"}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := s.Post("/oauth2/token", c.account.ClientID, c.account.ClientSecret, c.form)
			if c.want.error != "" {
				require.Equal(t, 400, answer.Status, answer.Text)
				require.Equal(t, c.want.error, answer.JSON["error"], answer.Text)
				if c.want.error == "invalid_target" {
					require.Contains(t, answer.JSON["error_description"], "resource="+s.Issuer, "it says what to do")
				}
				return
			}
			require.Equal(t, 200, answer.Status, answer.Text)
			require.Equal(t, c.want.scope, answer.JSON["scope"])
			_, claims := claimsOf(t, s, answer.JSON["access_token"].(string))
			if len(c.want.aud) == 1 {
				require.Equal(t, c.want.aud[0], claims["aud"])
			} else {
				require.ElementsMatch(t, c.want.aud, claims["aud"])
			}
			full, ok := claims["full"]
			require.Equal(t, c.want.full, ok, "full")
			require.True(t, !ok || full == true)
		})
	}
}

// What an API receives from an administrator's key gets nobody into /v1 or the
// feed, and the refusal says what to ask for.
func TestRefusalSaysThatTheIssuerIsMissing(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	key := s.Tenant.ApplicationKey
	token := s.Token(key.ClientID, key.ClientSecret, "")
	for _, path := range []string{"/v1/me", "/oauth2/revocations"} {
		answer := s.Get(path, token)
		require.Equal(t, http.StatusUnauthorized, answer.Status, path)
		require.Contains(t, answer.Text, "resource="+s.Issuer, path)
		require.Contains(t, answer.Header.Get("WWW-Authenticate"), "resource="+s.Issuer, path)
		require.Equal(t, http.StatusOK, s.Get(path, s.OwnToken(key.ClientID, key.ClientSecret)).Status, path)
	}
}

// A token narrowed by scope or resource names only the roles that give one of
// its privileges.
func TestNarrowTokenNamesItsRolesOnly(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	var ids []string
	for name, privileges := range map[string][]string{"Viewer": {"clusters:view"},
		"Editor": {"clusters:edit", "clusters:view"}, "Biller": {"billing:view"},
		"Reader": {svcauth.MembersRead}, "Empty": nil} {
		role, err := s.App.Access.CreateRole(s.System(), svcauth.NewRole{Name: name, Privileges: privileges})
		require.NoError(t, err)
		ids = append(ids, role.ID)
	}
	account, err := s.App.Access.CreateServiceAccount(s.System(), svcauth.NewServiceAccount{Name: "many", RoleIDs: ids})
	require.NoError(t, err)
	for _, c := range []struct {
		form  url.Values
		roles []any
	}{
		{grantForm, []any{"Biller", "Editor", "Empty", "Reader", "Viewer"}},
		{with("scope", "all-apis"), []any{"Biller", "Editor", "Empty", "Reader", "Viewer"}},
		{with("scope", "clusters:view"), []any{"Editor", "Viewer"}},
		{with("scope", "clusters:edit billing:view"), []any{"Biller", "Editor"}},
		{with("resource", s.Issuer), []any{"Reader"}},
		{with("resource", "https://billing.cloud.example"), []any{"Biller"}},
	} {
		answer := s.Post("/oauth2/token", account.ClientID, account.ClientSecret, c.form)
		require.Equal(t, 200, answer.Status, answer.Text)
		_, claims := claimsOf(t, s, answer.JSON["access_token"].(string))
		require.Equal(t, c.roles, claims["roles"], "%v", c.form)
	}
	key := s.Tenant.ApplicationKey
	_, claims := claimsOf(t, s, s.OwnToken(key.ClientID, key.ClientSecret))
	require.Equal(t, []any{svcauth.RoleAdministrator}, claims["roles"])
}

// A token for this server alone hands over all that its holder holds now, of
// whichever API; one that was asked for by scope only what it carries.
func TestFullTokenHandsOverWhatItsHolderHolds(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	maker, err := s.App.Access.CreateRole(s.System(),
		svcauth.NewRole{Name: "Maker", Privileges: []string{svcauth.RolesManage, "clusters:view"}})
	require.NoError(t, err)
	account, err := s.App.Access.CreateServiceAccount(s.System(),
		svcauth.NewServiceAccount{Name: "maker", RoleIDs: []string{maker.ID}})
	require.NoError(t, err)
	create := func(token, name, privilege string) svctest.Answer {
		body := `{"name":"` + name + `","privileges":["` + privilege + `"]}`
		req, err := http.NewRequest(http.MethodPost, s.URL+"/v1/roles", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		return s.Do(req)
	}
	narrow, full := s.Token(account.ClientID, account.ClientSecret, svcauth.RolesManage), s.OwnToken(account.ClientID,
		account.ClientSecret)

	refused := create(narrow, "one", "clusters:view")
	require.Equal(t, 403, refused.Status, refused.Text)
	require.Equal(t, []any{"clusters:view"}, refused.JSON["missing_privileges"])
	require.Contains(t, refused.Text, "this token does not carry")
	made := create(full, "two", "clusters:view")
	require.Equal(t, 201, made.Status, made.Text)
	refused = create(full, "three", "clusters:edit")
	require.Equal(t, 403, refused.Status, refused.Text)
	require.Equal(t, []any{"clusters:edit"}, refused.JSON["missing_privileges"])
	require.NotContains(t, refused.Text, "this token", "it is the account that lacks it")

	// What counts is what the account holds now, not when the token was issued.
	more, err := s.App.Access.CreateRole(s.System(),
		svcauth.NewRole{Name: "More", Privileges: []string{"clusters:edit"}})
	require.NoError(t, err)
	require.NoError(t,
		second(s.App.Access.AssignServiceAccountRole(s.System(), account.ID, more.ID, svcauth.GrantRequest{})))
	made = create(full, "three", "clusters:edit")
	require.Equal(t, 201, made.Status, made.Text)
	require.NoError(t, s.App.Access.UnassignServiceAccountRole(s.System(), account.ID, more.ID, ""))
	require.Equal(t, 403, create(full, "four", "clusters:edit").Status)
	require.Equal(t, 403, create(narrow, "four", "clusters:edit").Status)

	me := s.Get("/v1/me", full)
	var said svcauth.Me
	require.NoError(t, json.Unmarshal([]byte(me.Text), &said))
	require.Equal(t, []string{svcauth.RolesManage}, said.Privileges, "in force are those of the token")
}
