package provider

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
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

// Keys that anybody on the way could have changed are not read, though they
// need no credential.
func TestKeysAreReadFromAnIssuerOnly(t *testing.T) {
	for _, issuer := range []string{"http://auth.example.com", "https://auth.example.com:99999"} {
		c := &connection{config: tokensource.Config{Issuer: issuer, HTTPClient: &http.Client{Transport: untouched{t}}}}
		c.once.Do(func() {})
		c.err = errors.New("no credential")
		s := &jwksData{}
		s.connection = c
		var answer datasource.ReadResponse
		s.Read(t.Context(), datasource.ReadRequest{}, &answer)
		require.True(t, answer.Diagnostics.HasError())
		require.Contains(t, answer.Diagnostics[0].Detail(), "the issuer ")
	}
}

type untouched struct{ t *testing.T }

func (u untouched) RoundTrip(r *http.Request) (*http.Response, error) {
	u.t.Errorf("%s was asked", r.URL)
	return nil, errors.New("not asked")
}
