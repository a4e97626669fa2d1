package svcauth

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seen is what a server was asked.
type seen struct {
	method, path, query, body, ifMatch, contentType, userAgent string
}

// answering returns a client of a server that records each request and returns
// one answer after the other, and then the last again.
func answering(t *testing.T, config ClientConfig, answers ...http.HandlerFunc) (*Client, *[]seen) {
	t.Helper()
	requests := new([]seen)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*requests = append(*requests, seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(body),
			r.Header.Get("If-Match"), r.Header.Get("Content-Type"), r.UserAgent()})
		answers[min(len(*requests), len(answers))-1](w, r)
	}))
	t.Cleanup(server.Close)
	config.URL = server.URL + config.URL
	config.HTTPClient = server.Client()
	c, err := NewClient(config)
	require.NoError(t, err)
	return c, requests
}

func says(status int, headerAndBody ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headerAndBody); i += 2 {
			w.Header().Set(headerAndBody[i], headerAndBody[i+1])
		}
		w.WriteHeader(status)
		if len(headerAndBody)%2 == 1 {
			_, _ = io.WriteString(w, headerAndBody[len(headerAndBody)-1])
		}
	}
}

func problemAnswer(p *Problem, header ...string) http.HandlerFunc {
	body, _ := json.Marshal(p)
	return says(p.Status, append(append(header, "Content-Type", "application/problem+json"), string(body))...)
}

func ptr[T any](v T) *T { return &v }

func TestAnswersAreRead(t *testing.T) {
	secret := NewSecret()
	full := ServiceAccount{ID: "sa_1", ClientID: "sa_1", Name: "ci", Roles: []Ref{{"role_1", "r"}},
		Secrets: []SecretInfo{{ID: "sec_1"}}, ClientSecret: secret, CreatedAt: time.Unix(1, 0).UTC()}
	body, err := json.Marshal(full)
	require.NoError(t, err)
	c, _ := answering(t, ClientConfig{}, says(201, "ETag", `"12"`, string(body)))
	got, err := c.CreateServiceAccount(t.Context(), NewServiceAccount{Name: "ci"})
	require.NoError(t, err)
	full.Version = 12
	require.Equal(t, full, got)

	c, _ = answering(t, ClientConfig{}, says(204), says(200, `{"enforced":11,"connected":12,"elapsed_ms":38}`))
	none, err := c.DeleteServiceAccount(t.Context(), "sa_1", 0)
	require.NoError(t, err)
	require.Nil(t, none)
	some, err := c.DeleteServiceAccount(t.Context(), "sa_1", time.Second)
	require.NoError(t, err)
	require.Equal(t, &Enforcement{Enforced: 11, Connected: 12, ElapsedMS: 38}, some)

	c, _ = answering(t, ClientConfig{}, says(201, `{"id":"org_1","name":"n","invitation_url":"https://x/y"}`),
		says(200, `{"warning":"it breaks"}`))
	created, err := c.CreateOrganization(t.Context(), NewOrganization{Name: "n"})
	require.NoError(t, err)
	require.Equal(t, "org_1 https://x/y", created.ID+" "+created.InvitationURL)
	warning, err := c.RevokeSigningKey(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "it breaks", warning)
}

func TestAnIDThatWouldBeAnotherPathIsNotSent(t *testing.T) {
	c, requests := answering(t, ClientConfig{}, says(204))
	for _, id := range []string{"", ".", ".."} {
		_, err := c.DeleteServiceAccount(t.Context(), id, 0)
		require.ErrorContains(t, err, "id")
	}
	require.Empty(t, *requests)
}

func TestNewClientRefuses(t *testing.T) {
	for address, want := range map[string]string{
		"": "empty", "auth.example.com": "not an address", "ftp://x": "not an address", "https://u:p@x": "user name",
		"https://x?a=b": "query", "https://x#f": "fragment", "http://auth.example.com": "in clear",
	} {
		_, err := NewClient(ClientConfig{URL: address, HTTPClient: http.DefaultClient})
		require.ErrorContains(t, err, want, address)
	}
	_, err := NewClient(ClientConfig{URL: "https://x"})
	require.ErrorContains(t, err, "HTTPClient")
	_, err = NewClient(ClientConfig{URL: "https://x", HTTPClient: http.DefaultClient, Timeout: -1})
	require.ErrorContains(t, err, "Timeout")
	for _, fine := range []string{"http://localhost:8080", "http://127.0.0.1:1/x", "http://[::1]",
		"https://auth.example.com/tenant"} {
		_, err := NewClient(ClientConfig{URL: fine, HTTPClient: http.DefaultClient})
		require.NoError(t, err, fine)
	}
}

func TestNoPrivilegesAreSentAsNone(t *testing.T) {
	c, requests := answering(t, ClientConfig{}, says(200, `{"id":"role_1"}`))
	var none []string
	_, err := c.UpdateRole(t.Context(), "role_1", 0, RolePatch{Privileges: &none}, 0)
	require.NoError(t, err)
	require.JSONEq(t, `{"privileges":[]}`, (*requests)[0].body)
}

// A proxy that compresses changes the entity tag: nginx makes a weak one of it,
// Apache appends -gzip. An update must send the version all the same.
func TestTheVersionSurvivesAProxyThatCompresses(t *testing.T) {
	for tag, version := range map[string]int64{`"12"`: 12, `W/"12"`: 12, `"12-gzip"`: 12, `W/"12-br"`: 12,
		"": 0, `"x"`: 0} {
		c, requests := answering(t, ClientConfig{}, says(200, "ETag", tag, `{"id":"role_1"}`))
		role, err := c.Role(t.Context(), "role_1")
		require.NoError(t, err)
		require.Equal(t, version, role.Version, tag)
		_, err = c.UpdateRole(t.Context(), "role_1", role.Version, RolePatch{Description: ptr("x")}, 0)
		require.NoError(t, err)
		sent := map[int64]string{12: `"12"`, 0: ""}[version]
		require.Equal(t, sent, (*requests)[1].ifMatch)
	}
}
