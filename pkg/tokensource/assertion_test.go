package tokensource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// issued writes a token as Kubernetes or GitHub would.
func issued(t *testing.T, expiry time.Time, more map[string]any) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": "https://issuer.example", "sub": "system:serviceaccount:shop:checkout",
		"aud": []string{"https://auth.example.com"}, "exp": expiry.Unix()}
	for name, value := range more {
		claims[name] = value
	}
	return must(jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(p256Key()))
}

// onlyAssertion accepts exactly one assertion, which is all that is sent.
func onlyAssertion(want, client, kind string) func(url.Values, *http.Request) error {
	return func(form url.Values, r *http.Request) error {
		_, hasID := form["client_id"]
		switch {
		case r.Header.Get("Authorization") != "" || form.Has("client_secret"):
			return errors.New("two ways at once")
		case hasID != (client != "") || form.Get("client_id") != client:
			return errors.New("wrong client_id")
		case form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:"+kind:
			return errors.New("wrong type")
		case form.Get("client_assertion") != want:
			return errors.New("wrong assertion")
		}
		return nil
	}
}

func inAnHour() time.Time { return time.Now().Add(time.Hour) }

func TestAssertionFileIsReadForEachRequest(t *testing.T) {
	e := newEndpoint(t)
	first, second := issued(t, inAnHour(), nil), issued(t, inAnHour(), map[string]any{"jti": "2"})
	file := write(t, "token", []byte(first+"\n"))
	e.proves = onlyAssertion(first, e.id, "jwt-bearer")
	s := e.source(t, func(c *Config) { c.ClientSecret, c.AssertionFile = "", file })
	got, err := s.Token(soon(t))
	require.NoError(t, err)

	// Kubernetes replaces the directory by a symlink; what counts is the path.
	elsewhere := write(t, "token", []byte(second))
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.Symlink(elsewhere, file))
	e.set(func() { e.proves = onlyAssertion(second, e.id, "jwt-bearer") })
	s.Drop(got.AccessToken)
	_, err = s.Token(soon(t))
	require.NoError(t, err)
}

func TestAssertionWithoutClientID(t *testing.T) {
	e := newEndpoint(t)
	token := issued(t, inAnHour(), map[string]any{"aud": e.URL + "/o/org_01h455vb4pex5vsknk084sn02q"})
	e.proves = onlyAssertion(token, "", "jwt-spiffe")
	s := e.source(t, func(c *Config) {
		c.ClientID, c.ClientSecret, c.AssertionType = "", "", JWTSPIFFE
		c.AssertionFile = write(t, "svid", []byte(token))
	})
	_, err := s.Token(soon(t))
	require.NoError(t, err)
	require.Equal(t, "tokens of client (named by its assertion)", fmt.Sprint(s))
}

func TestAssertionEnv(t *testing.T) {
	e := newEndpoint(t)
	token := issued(t, inAnHour(), nil)
	e.proves = onlyAssertion(token, e.id, "jwt-bearer")
	byVariable := func(c *Config) { c.ClientSecret, c.AssertionEnv = "", "ID_TOKEN" }
	config := Config{Issuer: e.URL, ClientID: e.id, AssertionEnv: "ID_TOKEN"}
	_, err := New(config)
	require.EqualError(t, err, "tokensource: the variable ID_TOKEN is not set, or empty; expected a token in it")
	t.Setenv("ID_TOKEN", token)
	s := e.source(t, byVariable)
	_, err = s.Token(soon(t))
	require.NoError(t, err)

	// Who writes the token itself there does not find it in a log.
	config.AssertionEnv = token
	_, err = New(config)
	require.ErrorContains(t, err, "AssertionEnv is not the name of an environment variable")
	require.NotContains(t, err.Error(), token[:20])
	for _, set := range []func(*Config){
		func(c *Config) { c.AssertionFile = token },
		func(c *Config) { c.PrivateKeyFile = string(pkcs8(t, p256Key())) },
		func(c *Config) { c.PrivateKeyFile = string(jwkOf(t, p256Key(), nil)) },
		func(c *Config) { c.ClientSecretFile = "svcs_" + strings.Repeat("0", 49) },
	} {
		wrong := Config{Issuer: e.URL, ClientID: e.id}
		set(&wrong)
		_, err = New(wrong)
		require.ErrorContains(t, err, "holds what belongs into the file; expected the path of the file")
		require.Less(t, len(err.Error()), 120)
	}
}

func TestAnAssertionThatCanNotBeSentIsSaid(t *testing.T) {
	e := newEndpoint(t)
	large := issued(t, inAnHour(), map[string]any{"x": strings.Repeat("x", 15<<10)})
	for want, content := range map[string]string{
		" is empty; expected a token in it":               " \n",
		" holds no JWT: expected three parts with dots":   "hidden.token",
		" holds no JWT: a part of it is not base64url":    "hidden.to ken.x",
		" holds no JWT: a part of it":                     "eyJh..x",
		" holds no JWT: its claims are not a JSON object": "aGlkZGVu.aGlkZGVu.aGlkZGVu",
		" holds more than the 15 KiB":                     large,
		" is longer than 64 KiB":                          strings.Repeat("x", maxFile+1),
	} {
		file := write(t, "token", []byte(content))
		_, err := New(Config{Issuer: e.URL, ClientID: "sa_x", AssertionFile: file})
		require.ErrorContains(t, err, "tokensource: the assertion file "+file+want)
		require.NotContains(t, err.Error(), "hidden")
	}
	_, err := New(Config{Issuer: e.URL, AssertionFile: "/nowhere/token"})
	require.EqualError(t, err,
		"tokensource: the assertion file can't be opened: open /nowhere/token: no such file or directory")

	// A token that has expired may be renewed any moment: no reason not to
	// start, but none to send it either.
	file := write(t, "token", []byte(issued(t, time.Now().Add(-time.Minute), nil)))
	refused := failure(t, e.source(t, func(c *Config) { c.ClientSecret, c.AssertionFile = "", file }))
	require.Regexp(t, "the token of the assertion file "+file+` expired at 20\d\d-\S+Z, 1m(\ds)? ago by this machine's clock; `+
		"whoever writes it must renew it", refused.Error())
	require.Zero(t, e.asked())
}

func TestARefusedAssertionSaysWhoseItWas(t *testing.T) {
	e := newEndpoint(t)
	e.proves = func(url.Values, *http.Request) error { return errors.New("no") }
	token := issued(t, inAnHour(), map[string]any{"sub": "repo:a/b\x1b[31m\nc"})
	file := write(t, "token", []byte(token))
	refused := failure(t, e.source(t, func(c *Config) { c.ClientSecret, c.AssertionFile = "", file }))
	require.Contains(t, refused.Error(), `401 invalid_client: no: the token of the assertion file `+file+
		` is of issuer "https://issuer.example", subject "repo:a/b\x1b[31m\nc", audience ["https://auth.example.com"]; `+
		`check that a federated credential of the client has these`)
	require.NotContains(t, refused.Error(), token[:20])
}

// actions is GitHub's endpoint, written from its documentation.
type actions struct {
	*httptest.Server
	calls  atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
	token  atomic.Value // string
}

func newActions(t *testing.T, audience string) *actions {
	a := &actions{}
	a.token.Store(issued(t, inAnHour(), nil))
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.calls.Add(1)
		if custom := a.answer.Load(); custom != nil {
			(*custom)(w, r)
			return
		}
		query := r.URL.Query()
		if r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer job-token" ||
			query.Get("api-version") != "2.0" || query.Get("audience") != audience || len(query) != 2 {
			http.Error(w, r.URL.String(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": a.token.Load()})
	}))
	t.Cleanup(a.Close)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", a.URL+"/id-token?api-version=2.0")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-token")
	return a
}

func byGitHub(c *Config) { c.ClientSecret, c.AssertionFrom = "", GitHubActions }

func TestGitHubActionsIsAskedAnewForEachRequest(t *testing.T) {
	e := newEndpoint(t)
	a := newActions(t, e.URL)
	e.proves = func(form url.Values, r *http.Request) error {
		return onlyAssertion(a.token.Load().(string), e.id, "jwt-bearer")(form, r)
	}
	e.next(plain(503, ""))
	s := e.source(t, byGitHub)
	got, err := s.Token(soon(t))
	require.NoError(t, err)
	require.EqualValues(t, 2, a.calls.Load(), "a retry asks again")
	a.token.Store(issued(t, inAnHour(), map[string]any{"jti": "another"}))
	s.Drop(got.AccessToken)
	_, err = s.Token(soon(t))
	require.NoError(t, err)

	// The audience may name the organization; it is escaped.
	audience := e.URL + "/o/org_1?a=b&c"
	a = newActions(t, audience)
	e.set(func() { e.proves = onlyAssertion(a.token.Load().(string), "", "jwt-bearer") })
	_, err = e.source(t, byGitHub, func(c *Config) { c.ClientID, c.AssertionAudience = "", audience }).Token(soon(t))
	require.NoError(t, err)
}

func TestGitHubActionsFails(t *testing.T) {
	e := newEndpoint(t)
	a := newActions(t, e.URL)
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
		calls  int32
	}{
		"500": {plain(500, `{"error":"invalid_client"}`), "500 Internal Server Error: invalid_client", 2},
		"401": {plain(401, `{"message":"job-token"}`), "401 Unauthorized", 1},
		"redirect": {plain(302, "", "Location: https://elsewhere.example"),
			"302 Found: the answer is a redirect, which is not followed", 1},
		"huge":     {plain(200, strings.Repeat("x", 300<<10)), "the answer is longer than 256 KiB", 1},
		"html":     {plain(200, "<html>job-token"), `the answer is not JSON with the token as "value"`, 1},
		"no value": {plain(200, `{"count":0}`), `the answer is not JSON with the token as "value"`, 1},
		"no token": {plain(200, `{"value":"hidden"}`), "GitHub Actions holds no JWT: expected three parts", 1},
		"expired": {plain(200, `{"value":"`+issued(t, time.Now().Add(-time.Hour), nil)+`"}`),
			"the token of GitHub Actions expired at", 1},
		"hangs": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		}, "no answer within 500ms", 2},
	} {
		t.Run(name, func(t *testing.T) {
			a.calls.Store(0)
			a.answer.Store(&c.answer)
			s := e.source(t, byGitHub, func(c *Config) { c.MaxRetries, c.Timeout = 1, 500*time.Millisecond })
			refused := failure(t, s)
			require.Contains(t, refused.Error(), "no token from "+e.URL+"/oauth2/token: ")
			require.Contains(t, refused.Error(), c.want)
			require.NotRegexp(t, "job-token|hidden|api-version", refused.Error())
			require.Zero(t, refused.Status, "no word of the server itself")
			require.Empty(t, refused.Code)
			require.Equal(t, c.calls, a.calls.Load())
		})
	}
	require.Zero(t, e.asked())
}

func TestGitHubActionsIsConfigured(t *testing.T) {
	config := Config{Issuer: "https://auth.example.com", ClientID: "sa_x", AssertionFrom: GitHubActions}
	_, err := New(config)
	require.EqualError(t, err, "tokensource: ACTIONS_ID_TOKEN_REQUEST_URL is not set: "+
		"the job needs 'permissions: id-token: write' in GitHub Actions")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://pipelines.example/x?y=z")
	_, err = New(config)
	require.ErrorContains(t, err, "ACTIONS_ID_TOKEN_REQUEST_TOKEN is not set")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-token")
	_, err = New(config)
	require.NoError(t, err)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "http://pipelines.example/x")
	_, err = New(config)
	require.ErrorContains(t, err, "ACTIONS_ID_TOKEN_REQUEST_URL begins with http://")
	config.TokenURL, config.Issuer = "https://auth.example.com/token", ""
	_, err = New(config)
	require.ErrorContains(t, err, "the audience of an assertion is the Issuer, which is not set")
}

func TestHCPTerraform(t *testing.T) {
	e := newEndpoint(t)
	config := Config{Issuer: e.URL, ClientID: e.id, AssertionFrom: HCPTerraform}
	_, err := New(config)
	require.ErrorContains(t, err, "neither TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH nor TFC_WORKLOAD_IDENTITY_TOKEN is "+
		"set: the workspace needs the variable TFC_WORKLOAD_IDENTITY_AUDIENCE_SVCAUTH in HCP Terraform")
	plainToken, tagged := issued(t, inAnHour(), nil), issued(t, inAnHour(), map[string]any{"jti": "tagged"})
	byHCP := func(c *Config) { c.ClientSecret, c.AssertionFrom = "", HCPTerraform }
	t.Setenv("TFC_WORKLOAD_IDENTITY_TOKEN", plainToken)
	e.proves = onlyAssertion(plainToken, e.id, "jwt-bearer")
	_, err = e.source(t, byHCP).Token(soon(t))
	require.NoError(t, err)
	t.Setenv("TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH", tagged)
	e.set(func() { e.proves = onlyAssertion(tagged, e.id, "jwt-bearer") })
	_, err = e.source(t, byHCP).Token(soon(t))
	require.NoError(t, err)
	config.AssertionAudience = "x"
	_, err = New(config)
	require.ErrorContains(t, err, "AssertionAudience is of no use with HCP Terraform")
}

func TestNamedPipeIsRefused(t *testing.T) {
	_, err := New(Config{Issuer: "https://auth.example.com", AssertionFile: filepath.Dir(t.TempDir())})
	require.ErrorContains(t, err, "is not a regular file")
}
