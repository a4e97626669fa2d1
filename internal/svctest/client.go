package svctest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// Admin returns a client of the management API with the administrator's
// application key.
func (s *Server) Admin() *svcauth.Client {
	s.t.Helper()
	return s.AdminOf(s.Tenant)
}

// AdminOf is [Server.Admin] of a given organization.
func (s *Server) AdminOf(tenant people.Tenant) *svcauth.Client {
	s.t.Helper()
	return s.Client(tenant.ApplicationKey.ClientID, tenant.ApplicationKey.ClientSecret)
}

// Client returns a client of the management API with a client's own credential.
// Its calls go to this node.
func (s *Server) Client(id string, secret svcauth.Secret) *svcauth.Client {
	s.t.Helper()
	tokens, err := tokensource.New(tokensource.Config{TokenURL: s.URL + "/oauth2/token", ClientID: id,
		ClientSecret: secret, HTTPClient: s.HTTP,
		Resource: []string{s.Issuer}})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = tokens.Close() })
	client, err := svcauth.NewClient(svcauth.ClientConfig{URL: s.URL,
		HTTPClient: &http.Client{Transport: tokens.Transport(s.HTTP.Transport)}})
	require.NoError(s.t, err)
	return client
}

// Answer is what a request got.
type Answer struct {
	Status int
	Header http.Header
	Text   string
	JSON   map[string]any // nil where the body is no JSON object
}

// Post sends a form, with HTTP Basic unless id is empty. path begins with a
// slash and may have a query.
func (s *Server) Post(path, id string, secret svcauth.Secret, form url.Values) Answer {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL+path, strings.NewReader(form.Encode()))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "" {
		req.SetBasicAuth(id, secret.Reveal())
	}
	return s.Do(req)
}

// Get fetches a path with a bearer token; empty: without.
func (s *Server) Get(path, bearer string) Answer {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.URL+path, nil)
	require.NoError(s.t, err)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return s.Do(req)
}

// Do sends a request and reads the whole answer.
func (s *Server) Do(req *http.Request) Answer {
	s.t.Helper()
	resp, err := s.HTTP.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	require.NoError(s.t, err)
	answer := Answer{Status: resp.StatusCode, Header: resp.Header, Text: string(raw)}
	if json.Unmarshal(raw, &answer.JSON) != nil {
		answer.JSON = nil
	}
	return answer
}

// Token fetches an access token with the client's credential. Without a scope
// it carries all that is granted of the catalogue's APIs. It must be given.
func (s *Server) Token(id string, secret svcauth.Secret, scope string) string {
	s.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	if scope != "" {
		form.Set("scope", scope)
	}
	return s.token(id, secret, form)
}

// OwnToken fetches an access token for this server itself alone: for /v1, the
// feed and introspection. It must be given.
func (s *Server) OwnToken(id string, secret svcauth.Secret) string {
	s.t.Helper()
	return s.token(id, secret, url.Values{"grant_type": {"client_credentials"}, "resource": {s.Issuer}})
}

func (s *Server) token(id string, secret svcauth.Secret, form url.Values) string {
	s.t.Helper()
	answer := s.Post("/oauth2/token", id, secret, form)
	require.Equal(s.t, http.StatusOK, answer.Status, "no token for %s: %s", id, answer.JSON["error_description"])
	text, _ := answer.JSON["access_token"].(string)
	require.NotEmpty(s.t, text)
	return text
}

// Active reports whether introspection by the token's own client calls it live.
func (s *Server) Active(id string, secret svcauth.Secret, token string) bool {
	s.t.Helper()
	answer := s.Post("/oauth2/introspect", id, secret, url.Values{"token": {token}})
	require.Equal(s.t, http.StatusOK, answer.Status, answer.Text)
	return answer.JSON["active"] == true
}

// Metrics returns what a server offers at ops.listen, as soon as it is as it is
// waited for.
func Metrics(t testing.TB, ops string, ready func(text string) bool) (text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + ops + "/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		text = string(raw)
		return err == nil && ready(text)
	}, 20*time.Second, 50*time.Millisecond)
	return text
}
