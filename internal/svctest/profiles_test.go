package svctest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// shaped is an API whose tokens have a profile, and what is expected of them.
type shaped struct {
	name, profile string // of the API; YAML
	alg, typ      string
	claim         string // with the privileges
	list          bool   // as an array
	audience      bool   // aud is an array
	more          map[string]any
}

var shapes = []shaped{
	{name: "usual", profile: "{}", alg: "ES256", typ: "at+jwt", claim: "scope"},
	{name: "aws", profile: "{preset: aws-api-gateway}", alg: "RS256", typ: "at+jwt", claim: "scope"},
	{name: "azure", profile: "{preset: azure-apim, scope_claim: permissions}", alg: "RS256", typ: "at+jwt",
		claim: "permissions", list: true},
	{name: "spring", profile: "{preset: spring}", alg: "RS256", typ: "JWT", claim: "scope"},
	{name: "spring-scp", profile: "{preset: spring, scope_claim: scp, audience_form: array}", alg: "RS256", typ: "JWT",
		claim: "scp", list: true, audience: true},
	{name: "strimzi", profile: "{preset: strimzi}", alg: "ES256", typ: "at+jwt", claim: "scope",
		more: map[string]any{"typ": "Bearer"}},
	{name: "own", profile: "{signing_algorithm: EdDSA, typ: JWT, audience_form: string, claims: " +
		"{azp: '{client_id}', who: ['{org_id}/{name}', {sub: '{sub}'}]}}", alg: "EdDSA", typ: "JWT", claim: "scope"},
}

func (s shaped) audienceURI() string       { return "https://" + s.name + ".example" }
func (s shaped) privilege(v string) string { return s.name + ":" + v }

// shapedServer starts a server whose catalogue has an API of each shape.
func shapedServer(t *testing.T, options svctest.Options) *svctest.Server {
	t.Helper()
	var catalog strings.Builder
	catalog.WriteString("apis:\n")
	for _, s := range shapes {
		fmt.Fprintf(&catalog, "  - audience: %s\n    name: %s\n    profile: %s\n    privileges: "+
			"[{name: '%s', title: View}, {name: '%s', title: Edit}]\n",
			s.audienceURI(), s.name, s.profile, s.privilege("view"), s.privilege("edit"))
	}
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	require.NoError(t, os.WriteFile(file, []byte(catalog.String()), 0o600))
	options.Environ = append(options.Environ, "SVCAUTH_CATALOG_FILE="+file)
	return svctest.New(t, options)
}

// parts returns the header and the claims of a token.
func parts(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, into))
	}
	return header, claims
}

// TestEachProfileIsWritten asks for a token of each shape and looks at it.
func TestEachProfileIsWritten(t *testing.T) {
	s := shapedServer(t, svctest.Options{})
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			account := s.Account("reader-"+shape.name, shape.privilege("view"), shape.privilege("edit"))
			form := url.Values{"grant_type": {"client_credentials"}}
			answer := s.Post("/oauth2/token", account.ClientID, account.ClientSecret, form)
			require.Equal(t, 200, answer.Status, answer.Text)
			both := shape.privilege("edit") + " " + shape.privilege("view")
			require.Equal(t, both, answer.JSON["scope"], "the answer's scope is always a text")
			header, claims := parts(t, answer.JSON["access_token"].(string))
			require.Equal(t, shape.alg, header["alg"])
			require.Equal(t, shape.typ, header["typ"])
			want := map[string]any{"scope": nil, "scp": nil, "permissions": nil}
			want[shape.claim] = both
			if shape.list {
				want[shape.claim] = []any{shape.privilege("edit"), shape.privilege("view")}
			}
			for name, value := range want {
				require.Equal(t, value, claims[name], name)
			}
			if shape.audience {
				require.Equal(t, []any{shape.audienceURI()}, claims["aud"])
			} else {
				require.Equal(t, shape.audienceURI(), claims["aud"])
			}
			for name, value := range shape.more {
				require.Equal(t, value, claims[name], name)
			}
			if shape.name == "own" {
				require.Equal(t, account.ClientID, claims["azp"])
				require.Equal(t, []any{
					s.Tenant.Organization.ID + "/" + account.Name, map[string]any{"sub": account.ClientID},
				}, claims["who"])
			}
			described := s.Post("/oauth2/introspect", account.ClientID, account.ClientSecret,
				url.Values{"token": {answer.JSON["access_token"].(string)}}).JSON
			require.Equal(t, true, described["active"])
			require.Equal(t, both, described["scope"], "and introspection's, too")
		})
	}
}

// TestATokenOfEachProfileIsGivenOutAgain: token.reuse (contract §8) knows which
// key and which form a token was signed with, and how long it may be.
func TestATokenOfEachProfileIsGivenOutAgain(t *testing.T) {
	s := shapedServer(t, svctest.Options{Environ: []string{"SVCAUTH_TOKEN_REUSE=10m"}})
	admin := s.Admin()
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			account := s.Account("again-"+shape.name, shape.privilege("view"))
			ask := func() string { return s.Token(account.ClientID, account.ClientSecret, "") }
			first := ask()
			require.Equal(t, first, ask())
			keys, err := admin.RotateSigningKeys(t.Context(), svcauth.KeyRotation{Algorithm: shape.alg})
			require.NoError(t, err)
			second := ask()
			require.NotEqual(t, first, second, "another key signs now")
			require.Equal(t, second, ask())
			for _, key := range keys.Items { // room for the rotations that follow
				if key.State == svcauth.KeyRetired {
					_, err := admin.RevokeSigningKey(t.Context(), key.KID)
					require.NoError(t, err)
				}
			}
		})
	}
}

// TestTheLongestTokenCountsTheSignatureOfItsProfile: RS256 has 342 characters
// of it, where ES256 has 86.
func TestTheLongestTokenCountsTheSignatureOfItsProfile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalog.yaml")
	catalog := "apis: [{audience: 'https://long.example', name: Long, " +
		"privileges: [{name: 'long:view', title: View}], " +
		"profile: {signing_algorithm: RS256, claims: {pad: " + strings.Repeat("x", 1500) + "}}}]"
	require.NoError(t, os.WriteFile(file, []byte(catalog), 0o600))
	ask := func(bound int) (token string, answer svctest.Answer) {
		s := svctest.New(t, svctest.Options{Environ: []string{
			"SVCAUTH_CATALOG_FILE=" + file, fmt.Sprint("SVCAUTH_TOKEN_MAX_SIZE=", bound),
		}})
		account := s.Account("long", "long:view")
		answer = s.Post("/oauth2/token", account.ClientID, account.ClientSecret,
			url.Values{"grant_type": {"client_credentials"}})
		token, _ = answer.JSON["access_token"].(string)
		return token, answer
	}
	exact, _ := ask(0)
	fits, _ := ask(len(exact))
	require.Len(t, fits, len(exact))
	_, refused := ask(len(exact) - 1)
	require.Equal(t, "invalid_scope", refused.JSON["error"], refused.Text)
	require.Contains(t, refused.JSON["error_description"], fmt.Sprint(len(exact), " characters"))
}

// ends is a way to end tokens, one for each kind of revocation entry. other
// says that tokens without the privilege to edit live on.
type ends struct {
	kind  string
	do    func(t *testing.T, s *svctest.Server, v shapedVictim)
	other bool
}

type shapedVictim struct {
	account svcauth.ServiceAccount
	editor  svcauth.Role
	both    string // the token with both privileges
}

var endings = []ends{
	{"jti, exp", func(t *testing.T, s *svctest.Server, v shapedVictim) {
		answer := s.Post("/oauth2/revoke", v.account.ClientID, v.account.ClientSecret, url.Values{"token": {v.both}})
		require.Equal(t, 200, answer.Status, answer.Text)
	}, true},
	{"client_id, min_epoch", func(t *testing.T, s *svctest.Server, v shapedVictim) {
		_, err := s.Admin().RevokeTokens(t.Context(), v.account.ID, 0)
		require.NoError(t, err)
	}, false},
	{"cred", func(t *testing.T, s *svctest.Server, v shapedVictim) {
		_, err := s.Admin().DeleteSecret(t.Context(), v.account.ID, v.account.Secrets[0].ID, true, 0)
		require.NoError(t, err)
	}, false},
	{"client_id, role, min_epoch", func(t *testing.T, s *svctest.Server, v shapedVictim) {
		_, err := s.Admin().UnassignServiceAccountRole(t.Context(), v.account.ID, v.editor.ID, "", 0)
		require.NoError(t, err)
	}, true},
	{"org_id, role, min_pol", func(t *testing.T, s *svctest.Server, v shapedVictim) {
		_, err := s.Admin().DeleteRole(t.Context(), v.editor.ID, 0)
		require.NoError(t, err)
	}, true},
	{"org_id, role, privilege, min_pol", func(t *testing.T, s *svctest.Server, v shapedVictim) {
		_, err := s.Admin().UpdateRole(t.Context(), v.editor.ID, 0,
			svcauth.RolePatch{Privileges: &[]string{"members:read"}}, 0)
		require.NoError(t, err)
	}, true},
}

// TestRevocationReachesEachProfile ends tokens of each shape by each kind of
// entry of the revocation feed, and asks a resource server that follows it and
// the server's introspection. What the entry does not match lives on: a token
// without the privilege that was taken off a role, too.
func TestRevocationReachesEachProfile(t *testing.T) {
	s := shapedServer(t, svctest.Options{})
	watcher := s.Account("watcher", svcauth.TokensIntrospect)
	for _, shape := range shapes {
		api, err := resourceserver.New(resourceserver.Config{
			Issuer: s.Issuer, Audience: shape.audienceURI(), HTTPClient: s.HTTP, AcceptTypJWT: shape.typ == "JWT",
			Feed: &resourceserver.Feed{Token: func(context.Context) (string, error) {
				return s.OwnToken(watcher.ClientID, watcher.ClientSecret), nil
			}},
		})
		require.NoError(t, err)
		t.Cleanup(func() { _ = api.Close() })
		require.NoError(t, api.Ready(t.Context()))
		takes := func(token string) bool {
			p, err := api.Verify(t.Context(), token)
			return err == nil && p.Has(shape.privilege("view"))
		}
		active := func(token string) bool { return s.Active(watcher.ClientID, watcher.ClientSecret, token) }
		for i, end := range endings {
			t.Run(shape.name+": "+end.kind, func(t *testing.T) {
				v := newShapedVictim(t, s, shape, i)
				one := s.Token(v.account.ClientID, v.account.ClientSecret, shape.privilege("view"))
				require.True(t, takes(v.both) && takes(one))
				end.do(t, s, v)
				require.Eventually(t, func() bool { return !takes(v.both) }, 30*time.Second, 10*time.Millisecond)
				require.Equal(t, end.other, takes(one))
				require.False(t, active(v.both))
				require.Equal(t, end.other, active(one))
			})
		}
		t.Run(shape.name+": org_id, min_pol", func(t *testing.T) {
			tenant := s.NewTenant("tenant-" + shape.name)
			account := s.AccountIn(tenant, "reader", shape.privilege("view"))
			token := s.Token(account.ClientID, account.ClientSecret, "")
			require.True(t, takes(token))
			_, err := s.Admin().DeleteOrganization(t.Context(), tenant.Organization.ID, 0)
			require.NoError(t, err)
			require.Eventually(t, func() bool { return !takes(token) }, 30*time.Second, 10*time.Millisecond)
			require.False(t, active(token))
		})
		require.NoError(t, api.Close())
	}
}

// newShapedVictim makes an account that may view by one role and, by another,
// edit and view.
func newShapedVictim(t *testing.T, s *svctest.Server, shape shaped, i int) (v shapedVictim) {
	t.Helper()
	admin, name := s.Admin(), fmt.Sprintf("%s %d", shape.name, i)
	viewer, err := admin.CreateRole(t.Context(),
		svcauth.NewRole{Name: "Viewer " + name, Privileges: []string{shape.privilege("view")}})
	require.NoError(t, err)
	v.editor, err = admin.CreateRole(t.Context(),
		svcauth.NewRole{Name: "Editor " + name, Privileges: []string{shape.privilege("edit"), "members:read"}})
	require.NoError(t, err)
	v.account, err = admin.CreateServiceAccount(t.Context(),
		svcauth.NewServiceAccount{Name: name, RoleIDs: []string{viewer.ID, v.editor.ID}})
	require.NoError(t, err)
	v.both = s.Token(v.account.ClientID, v.account.ClientSecret, "")
	return v
}
