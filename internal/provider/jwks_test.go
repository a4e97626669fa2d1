package provider

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// TestKeysAreBoundedAndNotRedirected says that an answer is neither followed
// elsewhere nor cut in silence.
func TestKeysAreBoundedAndNotRedirected(t *testing.T) {
	elsewhere := httptest.NewServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) }))
	defer elsewhere.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			_, _ = w.Write([]byte(`{"keys":[]}` + strings.Repeat(" ", jwk.MaxSetSize)))
			return
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	}))
	defer server.Close()
	c := &connection{config: tokensource.Config{Issuer: server.URL, HTTPClient: server.Client()}}
	c.config.HTTPClient = c.httpClient()
	s := &jwksData{}
	s.connection = c
	_, err := s.fetch(t.Context(), server.URL+"/redirect")
	require.ErrorContains(t, err, "302")
	_, err = s.fetch(t.Context(), server.URL+"/long")
	require.ErrorContains(t, err, "longer than")
}
