package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
)

// mutual is a server with a listener for clients that show a certificate.
type mutual struct {
	*svctest.Server
	address   string // of that listener
	authority *certtest.Authority
}

func newMutual(t *testing.T, environ ...string) mutual {
	t.Helper()
	address, authority := freeport.Address(t), certtest.New(t, "clients")
	s := svctest.New(t, svctest.Options{TLS: true, Environ: append(environ, "SVCAUTH_TLS_MTLS_LISTEN="+address,
		"SVCAUTH_TLS_MTLS_URL=https://"+address, "SVCAUTH_TLS_CLIENT_CA_FILE="+authority.File(t))})
	return mutual{s, address, authority}
}

// showing returns the server as a client of the mTLS listener sees it that has
// a certificate, or none.
func (m mutual) showing(t *testing.T, pair *tls.Certificate) *svctest.Server {
	t.Helper()
	config := m.HTTP.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	if pair != nil {
		// Whatever authorities the server names: it names none.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	seen := *m.Server
	seen.URL = "https://" + m.address
	seen.HTTP = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
	t.Cleanup(seen.HTTP.CloseIdleConnections)
	return &seen
}

// RFC 8705 §5: the aliases are another address, and only that asks for a
// certificate. It has no pages for people.
func TestBrowsersAreNotAskedForACertificate(t *testing.T) {
	t.Parallel()
	m := newMutual(t)
	asked := func(address string) (asked bool) {
		config := m.HTTP.Transport.(*http.Transport).TLSClientConfig.Clone()
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &tls.Certificate{}, nil
		}
		conn, err := tls.Dial("tcp", address, config)
		require.NoError(t, err)
		defer conn.Close()
		_, err = fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Contains(t, string(answer), "200 OK")
		return asked
	}
	require.False(t, asked(strings.TrimPrefix(m.URL, "https://")))
	require.True(t, asked(m.address))

	seen := m.showing(t, nil)
	for _, path := range []string{"/console", "/console/sign-in", "/console/static/nothing"} {
		require.Equal(t, http.StatusNotFound, seen.Get(path, "").Status, path)
	}
	require.Equal(t, http.StatusOK, m.Get("/console/sign-in", "").Status)

	metadata := seen.Get("/.well-known/oauth-authorization-server", "").JSON
	require.Equal(t, m.Issuer, metadata["issuer"])
	at := "https://" + m.address
	require.Equal(t, map[string]any{
		"token_endpoint": at + "/oauth2/token", "revocation_endpoint": at + "/oauth2/revoke",
		"introspection_endpoint":   at + "/oauth2/introspect",
		"revocation_feed_endpoint": at + "/oauth2/revocations",
	}, metadata["mtls_endpoint_aliases"])
	require.Equal(t, m.Issuer+"/oauth2/token", metadata["token_endpoint"])

	// Whoever has a secret is served there too, with a certificate or without.
	account := m.Account("secret", "clusters:view")
	other := certtest.SelfSigned(t, nil)
	for _, pair := range []*tls.Certificate{nil, &other} {
		seen := m.showing(t, pair)
		require.NotEmpty(t, seen.Token(account.ClientID, account.ClientSecret, ""))
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {account.ClientID},
			"client_secret": {account.ClientSecret.Reveal()}}
		require.Equal(t, http.StatusOK, seen.Post("/oauth2/token", "", "", form).Status)
	}

	plain := svctest.New(t, svctest.Options{})
	metadata = plain.Get("/.well-known/oauth-authorization-server", "").JSON
	require.NotContains(t, metadata, "mtls_endpoint_aliases")
	require.NotContains(t, metadata, "tls_client_certificate_bound_access_tokens")
}

// Both listeners share one bound: whoever fills the one does not have another
// one at the other, and keeps nobody out.
func TestBothListenersShareTheBoundOnConnections(t *testing.T) {
	t.Parallel()
	m := newMutual(t, "SVCAUTH_LIMITS_MAX_CONNECTIONS=20")
	var idle []net.Conn
	for i := range 60 {
		address := []string{m.address, strings.TrimPrefix(m.URL, "https://")}[i%2]
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		conn, err := dialer.DialContext(context.Background(), "tcp", address)
		require.NoError(t, err)
		defer conn.Close()
		idle = append(idle, conn)
	}
	require.Equal(t, http.StatusOK, m.showing(t, nil).Get("/healthz", "").Status)
	require.Equal(t, http.StatusOK, m.Get("/healthz", "").Status)
	closed := 0
	for _, conn := range idle {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		if _, err := conn.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
			closed++
		}
	}
	require.GreaterOrEqual(t, closed, 50, "half of 20 is what one address may have, at both together")
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// Only a trusted proxy may say which certificate a client has shown. From
// anybody else that is refused, not passed over, so that a proxy which is
// missing in the configuration is noticed.
func TestTheProxysHeaderFromAnybodyElse(t *testing.T) {
	t.Parallel()
	environ := []string{"SVCAUTH_TLS_CLIENT_CERT_HEADER=X-SSL-Cert", "SVCAUTH_TLS_CLIENT_CERT_FORMAT=pem-urlencoded",
		"SVCAUTH_TLS_CLIENT_CERT_VERIFIED_HEADER=X-SSL-Verify",
		"SVCAUTH_TLS_CLIENT_CA_FILE=" + certtest.New(t, "clients").File(t)}
	stranger := svctest.New(t, svctest.Options{Environ: append(environ, "SVCAUTH_TRUSTED_PROXIES=127.0.0.9")})
	proxied := svctest.New(t, svctest.Options{Environ: append(environ, "SVCAUTH_TRUSTED_PROXIES=127.0.0.1")})
	ask := func(s *svctest.Server, method, path, field string, values ...string) svctest.Answer {
		req, err := http.NewRequest(method, s.URL+path, strings.NewReader("grant_type=client_credentials"))
		require.NoError(t, err)
		req.Header[field] = values
		return s.Do(req)
	}
	for _, field := range []string{"X-Ssl-Cert", "X-SSL-Cert", "x-ssl-verify"} {
		for path, kind := range map[string]string{"/oauth2/token": "application/json",
			"/v1/me": "application/problem+json", "/console/sign-in": "application/json",
			"/.well-known/jwks.json": "application/json"} {
			got := ask(stranger, http.MethodPost, path, field, "anything")
			require.Equal(t, http.StatusBadRequest, got.Status, path)
			require.Equal(t, kind, got.Header.Get("Content-Type"), path)
			require.Contains(t, got.Text, "trusted_proxies", path)
		}
	}
	require.Contains(t, stranger.Log(), `"reason":"foreign_field"`)
	require.Equal(t, http.StatusOK, ask(proxied, http.MethodGet, "/.well-known/jwks.json", "X-SSL-Cert", "x").Status)
	require.Contains(t, ask(proxied, http.MethodPost, "/oauth2/token", "Content-Type", "x").Text, "urlencoded")
	account := proxied.Account("behind", "clusters:view")
	for want, values := range map[string][]string{"not a URL-encoded PEM": {"x"}, "came twice": {"", ""}} {
		req, err := http.NewRequest(http.MethodPost, proxied.URL+"/oauth2/token",
			strings.NewReader("grant_type=client_credentials"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(account.ClientID, account.ClientSecret.Reveal())
		req.Header["X-Ssl-Cert"] = values
		got := proxied.Do(req)
		require.Equal(t, http.StatusBadRequest, got.Status)
		require.Equal(t, "invalid_request", got.JSON["error"])
		require.Contains(t, got.Text, want)
	}
}
