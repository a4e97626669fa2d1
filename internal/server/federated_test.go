package server_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// foreign is another issuer, on loopback.
type foreign struct {
	*httptest.Server
	t       *testing.T
	key     *ecdsa.PrivateKey
	kid     string
	down    atomic.Bool
	fetches atomic.Int64
}

func newForeign(t *testing.T) *foreign {
	t.Helper()
	f := &foreign{t: t, key: p256(t), kid: "first"}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.down.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		if r.URL.Path == "/.well-known/openid-configuration" {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, f.URL, f.URL+"/keys")
			return
		}
		f.fetches.Add(1)
		public, err := jwk.New(&f.key.PublicKey)
		if err == nil {
			public.Kid = f.kid
			err = json.NewEncoder(w).Encode(map[string]any{"keys": []jwk.Key{public}})
		}
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

// token is what the issuer says of a workload, with a change.
func (f *foreign) token(aud string, change jwt.MapClaims) string {
	f.t.Helper()
	now := time.Now()
	claims := jwt.MapClaims{"iss": f.URL, "sub": "workload", "aud": aud, "jti": "j", "iat": now.Unix(),
		"exp": now.Add(5 * time.Minute).Unix(), "project_id": "42"}
	for name, value := range change {
		claims[name] = value
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = f.kid
	text, err := token.SignedString(f.key)
	require.NoError(f.t, err)
	return text
}

const onLoopback = "SVCAUTH_FEDERATION_ALLOWED_NETWORKS=127.0.0.0/8"

// trust lets an account be proven by the issuer's workload.
func trust(t *testing.T, s *svctest.Server, f *foreign, account string,
	edit func(*svcauth.NewFederatedCredential)) svcauth.FederatedCredential {
	t.Helper()
	body := svcauth.NewFederatedCredential{
		Name: "ci", Issuer: f.URL, Subject: "workload", Claims: map[string]string{"project_id": "42"},
	}
	if edit != nil {
		edit(&body)
	}
	made, err := s.Admin().CreateFederatedCredential(t.Context(), account, body)
	require.NoError(t, err)
	return made
}

func assertedBy(id, assertion string) url.Values {
	form := asserted(assertion)
	if id != "" {
		form.Set("client_id", id)
	}
	return form
}

func decoded(t *testing.T, answer svctest.Answer) jwt.MapClaims {
	t.Helper()
	require.Equal(t, http.StatusOK, answer.Status, answer.Text)
	claims := jwt.MapClaims{}
	_, _, err := jwt.NewParser().ParseUnverified(answer.JSON["access_token"].(string), claims)
	require.NoError(t, err)
	return claims
}

// A token of another issuer proves a client: with client_id, and without it by
// the organization in its aud. The same one works again (contract §7).
func TestFederatedAssertion(t *testing.T) {
	s, f := svctest.New(t, svctest.Options{Environ: []string{onLoopback}}), newForeign(t)
	a := s.Account("deployer", "clusters:view", "clusters:edit")
	made := trust(t, s, f, a.ID, func(n *svcauth.NewFederatedCredential) { n.Privileges = []string{"clusters:view"} })
	ask := func(form url.Values) svctest.Answer { return s.Post("/oauth2/token", "", "", form) }
	org := s.Issuer + "/o/" + s.Tenant.Organization.ID

	text := f.token(s.Issuer, nil)
	for range 2 {
		claims := decoded(t, ask(assertedBy(a.ID, text)))
		require.Equal(t, made.ID, claims["cred"])
		require.Equal(t, a.ID, claims["sub"])
		require.Equal(t, "clusters:view", claims["scope"], "no more than its ceiling")
		require.LessOrEqual(t, claims["exp"].(float64), float64(time.Now().Add(5*time.Minute).Unix()))
	}
	require.Equal(t, a.ID, decoded(t, ask(assertedBy("", f.token(org, nil))))["client_id"])
	require.Equal(t, a.ID, decoded(t, ask(assertedBy(a.ID, f.token(org, nil))))["client_id"])
	require.EqualValues(t, 1, f.fetches.Load())
	require.Contains(t, s.Log(), `"subject":"workload"`)
	require.Contains(t, s.Log(), `"issuer":"`+f.URL+`"`)
	require.Contains(t, s.Log(), `"auth_method":"federated","credential_id":"`+made.ID+`"`)

	refused := func(form url.Values) string {
		t.Helper()
		got := ask(form)
		require.Equal(t, http.StatusUnauthorized, got.Status, got.Text)
		require.Equal(t, "invalid_client", got.JSON["error"])
		return got.JSON["error_description"].(string)
	}
	impostor := &foreign{Server: f.Server, t: t, key: p256(t), kid: "first"}
	unknown := refused(assertedBy(svcauth.NewID(svcauth.PrefixServiceAccount), text))
	for name, form := range map[string]url.Values{
		"another subject":       assertedBy(a.ID, f.token(s.Issuer, jwt.MapClaims{"sub": "other"})),
		"another project":       assertedBy(a.ID, f.token(s.Issuer, jwt.MapClaims{"project_id": "43"})),
		"another audience":      assertedBy(a.ID, f.token("https://cloud.example", nil)),
		"another issuer":        assertedBy(a.ID, newForeign(t).token(s.Issuer, nil)),
		"another's account":     assertedBy(s.Account("other", "clusters:view").ID, text),
		"signed by another":     assertedBy(a.ID, impostor.token(s.Issuer, nil)),
		"nobody's organization": assertedBy("", f.token(s.Issuer+"/o/"+svcauth.NewID("org"), nil)),
	} {
		require.Equal(t, unknown, refused(form), name)
	}
	require.Contains(t, refused(assertedBy("", text)), "send client_id")
	ours := s.Token(a.ID, a.ClientSecret, "")
	require.NotEmpty(t, refused(assertedBy(a.ID, ours)), "a token of this server")
	two := assertedBy(a.ID, text)
	two.Set("client_secret", a.ClientSecret.Reveal())
	require.Equal(t, http.StatusBadRequest, ask(two).Status)

	live := ask(assertedBy(a.ID, text)).JSON["access_token"].(string)
	require.True(t, s.Active(a.ID, a.ClientSecret, live))
	_, err := s.Admin().DeleteFederatedCredential(t.Context(), a.ID, made.ID, true, 0)
	require.NoError(t, err)
	require.False(t, s.Active(a.ID, a.ClientSecret, live), "it dies by cred")
	require.Equal(t, unknown, refused(assertedBy(a.ID, text)))
}

// Nobody can lie in wait for another's tokens: neither another organization nor
// a second account of the same one.
func TestFederatedSquatting(t *testing.T) {
	s, f := svctest.New(t, svctest.Options{Environ: []string{onLoopback}}), newForeign(t)
	a := s.Account("deployer", "clusters:view")
	trust(t, s, f, a.ID, nil)
	tenant := s.NewTenant("squatter")
	squatter := s.AccountIn(tenant, "deployer")
	_, err := s.AdminOf(tenant).CreateFederatedCredential(t.Context(), squatter.ID, svcauth.NewFederatedCredential{
		Name: "theirs", Issuer: f.URL, Subject: "workload",
	})
	require.NoError(t, err)
	org := s.Issuer + "/o/" + s.Tenant.Organization.ID
	ask := func(id string) svctest.Answer {
		return s.Post("/oauth2/token", "", "", assertedBy(id, f.token(org, nil)))
	}
	require.Equal(t, a.ID, decoded(t, ask(""))["client_id"])
	require.Equal(t, http.StatusUnauthorized, ask(squatter.ID).Status, "the token names our organization")
	trust(t, s, f, s.Account("second", "clusters:view").ID, nil)
	require.Equal(t, http.StatusUnauthorized, ask("").Status, "two fit")
	require.Equal(t, a.ID, decoded(t, ask(a.ID))["client_id"])
}

// The issuer rotates its keys, fails, and is not called where the operator has
// not allowed its network.
func TestFederatedKeys(t *testing.T) {
	s, f := svctest.New(t, svctest.Options{Environ: []string{onLoopback}}), newForeign(t)
	a := s.Account("deployer", "clusters:view")
	trust(t, s, f, a.ID, func(n *svcauth.NewFederatedCredential) { n.OneTime, n.TTLSeconds = true, 3600 })
	ask := func(s *svctest.Server, id, jti string) svctest.Answer {
		return s.Post("/oauth2/token", "", "", assertedBy(id, f.token(s.Issuer, jwt.MapClaims{"jti": jti})))
	}
	got := ask(s, a.ID, "1")
	require.Greater(t, decoded(t, got)["exp"].(float64), float64(time.Now().Add(50*time.Minute).Unix()))
	require.Equal(t, http.StatusUnauthorized, ask(s, a.ID, "1").Status, "each works once")
	f.down.Store(true)
	require.Equal(t, http.StatusOK, ask(s, a.ID, "2").Status)
	f.down.Store(false)
	f.key, f.kid = p256(t), "second"
	for range 3 {
		require.Equal(t, http.StatusUnauthorized, ask(s, a.ID, "3").Status, "asked within 30 s")
	}
	require.EqualValues(t, 1, f.fetches.Load())

	closed := svctest.New(t, svctest.Options{})
	b := closed.Account("deployer", "clusters:view")
	trust(t, closed, f, b.ID, nil)
	require.Equal(t, http.StatusUnauthorized, ask(closed, b.ID, "1").Status)
	result, err := closed.Admin().TestFederatedCredentials(t.Context(), svcauth.FederatedTest{
		Assertion: f.token(closed.Issuer, nil),
	})
	require.NoError(t, err)
	require.Equal(t, "key", result.Credentials[0].Rule)
	require.Contains(t, result.Credentials[0].Got, "federation.allowed_networks")
	require.EqualValues(t, 1, f.fetches.Load())
}

// The simulator decides by the rules of real requests, and issues nothing.
func TestFederatedSimulator(t *testing.T) {
	s, f := svctest.New(t, svctest.Options{Environ: []string{onLoopback}}), newForeign(t)
	a := s.Account("deployer", "clusters:view")
	made := trust(t, s, f, a.ID, nil)
	trust(t, s, f, s.Account("other").ID, func(n *svcauth.NewFederatedCredential) { n.Subject = "another" })
	try := func(body svcauth.FederatedTest) []svcauth.FederatedTestMatch {
		t.Helper()
		result, err := s.Admin().TestFederatedCredentials(t.Context(), body)
		require.NoError(t, err)
		return result.Credentials
	}
	got := try(svcauth.FederatedTest{Assertion: f.token(s.Issuer, nil)})
	require.Len(t, got, 2)
	require.Equal(t, svcauth.FederatedTestMatch{
		ServiceAccount: svcauth.Ref{ID: a.ID, Name: "deployer"}, CredentialID: made.ID, Name: "ci", Matches: true,
	}, got[0])
	require.Equal(t, "subject", got[1].Rule)
	require.Equal(t, "another", got[1].Expected)
	require.Equal(t, "workload", got[1].Got)
	claims := fmt.Sprintf(`{"iss":%q,"sub":"workload","project_id":"43"}`, f.URL)
	got = try(svcauth.FederatedTest{Claims: json.RawMessage(claims), ClientID: a.ID})
	require.Len(t, got, 1)
	require.Equal(t, "claims", got[0].Rule)
	require.Equal(t, "project_id = 42", got[0].Expected)
	_, err := s.Admin().TestFederatedCredentials(t.Context(), svcauth.FederatedTest{Assertion: "a.b.c"})
	require.ErrorContains(t, err, "Refused")
	theirs, err := s.AdminOf(s.NewTenant("tenant")).TestFederatedCredentials(t.Context(), svcauth.FederatedTest{
		Assertion: f.token(s.Issuer, nil),
	})
	require.NoError(t, err)
	require.Empty(t, theirs.Credentials, "the caller's own organization alone")
}

// RFC 8693: the requests of Databricks and of Google byte for byte (reference
// F.1), the answer, and what is refused.
func TestTokenExchange(t *testing.T) {
	s, f := svctest.New(t, svctest.Options{Environ: []string{onLoopback}}), newForeign(t)
	a := s.Account("deployer", "clusters:view", "clusters:edit")
	made := trust(t, s, f, a.ID, nil)
	post := func(body string) svctest.Answer {
		form, err := url.ParseQuery(body)
		require.NoError(t, err)
		return s.Post("/oauth2/token", "", "", form)
	}
	const types = "urn:ietf:params:oauth:token-type:"
	text := f.token(s.Issuer, nil)
	databricks := "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&client_id=" + a.ID +
		"&scope=all-apis&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=" + text
	google := "audience=" + made.ID + "&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange" +
		"&options=%7B%22userProject%22%3A%22x%22%7D" +
		"&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&scope=" +
		"&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token&subject_token=" + text
	for _, body := range []string{databricks, google} {
		got := post(body)
		require.Equal(t, made.ID, decoded(t, got)["cred"])
		require.Equal(t, types+"access_token", got.JSON["issued_token_type"])
		require.Equal(t, "Bearer", got.JSON["token_type"])
		require.Equal(t, "clusters:edit clusters:view", got.JSON["scope"])
		require.NotContains(t, got.JSON, "refresh_token")
	}
	require.Contains(t, s.Get("/.well-known/oauth-authorization-server", "").Text, clientauth.GrantTokenExchange)

	whole, err := url.ParseQuery(databricks)
	require.NoError(t, err)
	one := ""
	for name, c := range map[string]struct{ field, value, code string }{
		"actor":          {"actor_token", text, "invalid_request"},
		"type":           {"subject_token_type", types + "access_token", "invalid_request"},
		"saml":           {"subject_token_type", types + "saml2", "invalid_request"},
		"no type":        {"subject_token_type", "", "invalid_request"},
		"no token":       {"subject_token", "", "invalid_request"},
		"wanted":         {"requested_token_type", types + "refresh_token", "invalid_request"},
		"wider":          {"scope", "tokens:introspect", "invalid_scope"},
		"target":         {"audience", "//iam.googleapis.com/projects/1", "invalid_target"},
		"secret, too":    {"client_secret", a.ClientSecret.Reveal(), "invalid_request"},
		"token: ours":    {"subject_token", s.Token(a.ID, a.ClientSecret, ""), "one"},
		"token: garbage": {"subject_token", "garbage", "one"},
		"token: another": {"subject_token", f.token(s.Issuer, jwt.MapClaims{"sub": "x"}), "one"},
		"unknown client": {"client_id", svcauth.NewID(svcauth.PrefixServiceAccount), "one"},
		"unknown policy": {"audience", svcauth.NewID(svcauth.PrefixFederated), "one"},
	} {
		form := url.Values{}
		for field, values := range whole {
			form[field] = values
		}
		form.Set(c.field, c.value)
		got := s.Post("/oauth2/token", "", "", form)
		require.Equal(t, http.StatusBadRequest, got.Status, "%s: %s", name, got.Text)
		if c.code != "one" {
			require.Equal(t, c.code, got.JSON["error"], name)
			continue
		}
		require.Equal(t, "invalid_request", got.JSON["error"], name)
		if one == "" {
			one = got.JSON["error_description"].(string)
		}
		require.Equal(t, one, got.JSON["error_description"], name)
	}
	whole.Del("client_id")
	require.Equal(t, http.StatusBadRequest, s.Post("/oauth2/token", "", "", whole).Status, "nothing says whose it is")
	whole.Set("subject_token", f.token(s.Issuer+"/o/"+s.Tenant.Organization.ID, nil))
	require.Equal(t, http.StatusOK, s.Post("/oauth2/token", "", "", whole).Status)
}
