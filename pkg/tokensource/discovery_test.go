package tokensource

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIssuerWithPath(t *testing.T) {
	e := newEndpoint(t)
	got, err := e.source(t, func(c *Config) { c.Issuer += "/tenant" }).Token(soon(t))
	require.NoError(t, err)
	require.Equal(t, "token-1", got.AccessToken)
}

// Behind a proxy that hands on the issuer's path alone, another program answers
// at the root, or nobody.
func TestMetadataBelowTheIssuersPathOnly(t *testing.T) {
	for _, root := range []http.HandlerFunc{http.NotFound, plain(200, "<html>"), plain(403, "<html>"), plain(401, ""),
		plain(400, ""), http.RedirectHandler("/login", http.StatusFound).ServeHTTP} {
		e := newEndpoint(t)
		e.metadata = func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/tenant/.well-known/openid-configuration") {
				root(w, r)
				return
			}
			plain(200, `{"issuer":"`+e.URL+`/tenant","token_endpoint":"`+e.URL+`/oauth2/token"}`)(w, r)
		}
		got, err := e.source(t, func(c *Config) { c.Issuer += "/tenant" }).Token(soon(t))
		require.NoError(t, err)
		require.Equal(t, "token-1", got.AccessToken)
		require.Equal(t, 2, e.lookups)
	}
}

func TestMetadataIsReadOnceAndAgainOnlyWhenTheEndpointIsGone(t *testing.T) {
	e := newEndpoint(t)
	s := e.source(t)
	for _, step := range []struct {
		answer  http.HandlerFunc
		lookups int
	}{{nil, 1}, {nil, 1}, {plain(400, `{"error":"invalid_scope"}`), 1}, {nil, 1}, {plain(404, ""), 1}, {nil, 2}} {
		if step.answer != nil {
			e.next(step.answer)
		}
		if got, err := s.Token(soon(t)); err == nil {
			s.Drop(got.AccessToken)
		}
		require.Equal(t, step.lookups, e.lookups)
	}
	require.Equal(t, 6, e.asked())
}

func TestTokenURLNeedsNoMetadata(t *testing.T) {
	e := newEndpoint(t)
	_, err := e.source(t, func(c *Config) { c.Issuer, c.TokenURL = "", e.URL+"/oauth2/token" }).Token(soon(t))
	require.NoError(t, err)
	require.Zero(t, e.lookups)
}

func TestBadMetadataSendsTheSecretNowhere(t *testing.T) {
	for want, body := range map[string]string{
		"must be the same, to the letter":   `{"issuer":"ISSUER/","token_endpoint":"ISSUER/oauth2/token"}`,
		"is of issuer \"\"":                 `{"token_endpoint":"ISSUER/oauth2/token"}`,
		"names no token_endpoint":           `{"issuer":"ISSUER"}`,
		"expected https, as the issuer is":  `{"issuer":"ISSUER","token_endpoint":"http://evil.example/token"}`,
		"as the issuer is, on loopback too": `{"issuer":"ISSUER","token_endpoint":"http://localhost:1/token"}`,
		"is not the JSON of OAuth2 metada":  `<html>`,
	} {
		e := newEndpoint(t)
		e.metadata = func(w http.ResponseWriter, r *http.Request) {
			plain(200, strings.ReplaceAll(body, "ISSUER", e.URL))(w, r)
		}
		require.ErrorContains(t, failure(t, e.source(t)), want)
		require.Zero(t, e.asked())
	}
	e := newEndpoint(t)
	e.metadata = http.NotFound
	missing := failure(t, e.source(t))
	require.Equal(t, 404, missing.Status)
	require.ErrorContains(t, missing,
		"404 Not Found: this address has no OAuth2 metadata (RFC 8414); check the issuer, or set TokenURL")
	require.Zero(t, e.asked())
}

func TestMetadataIsRetriedToo(t *testing.T) {
	e := newEndpoint(t)
	answers := []http.HandlerFunc{plain(503, ""), plain(429, "")}
	e.metadata = func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		answer := answers[0]
		if answers = answers[1:]; len(answers) == 0 {
			e.metadata = nil
		}
		e.mu.Unlock()
		answer(w, r)
	}
	_, err := e.source(t).Token(soon(t))
	require.NoError(t, err)
	require.Equal(t, 3, e.lookups)
}
