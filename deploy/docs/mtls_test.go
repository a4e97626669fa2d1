package docs_test

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// mtlsSnippet returns the block of mtls.md that begins so.
func mtlsSnippet(t *testing.T, begin string) string {
	t.Helper()
	return snippetOf(t, "mtls.md", begin)
}

// TestTheConfigurationForCertificates loads what mtls.md shows of svcauth's own
// configuration.
func TestTheConfigurationForCertificates(t *testing.T) {
	for begin, want := range map[string]config.TLS{
		"tls:": {CertFile: "/etc/ssl/auth.example.com.crt", KeyFile: "/etc/ssl/auth.example.com.key", MinVersion: "1.2",
			MTLSListen: "0.0.0.0:8443", MTLSURL: "https://auth.example.com:8443",
			ClientCAFile: "/etc/ssl/clients-ca.pem", ClientCertFormat: "rfc9440"},
		"trusted_proxies:": {MinVersion: "1.2", MTLSURL: "https://auth.example.com:8443",
			ClientCAFile: "/etc/ssl/clients-ca.pem", ClientCertHeader: "X-SSL-Cert",
			ClientCertFormat: "pem-urlencoded"},
	} {
		file := filepath.Join(t.TempDir(), "svcauth.yaml")
		require.NoError(t, os.WriteFile(file, []byte(mtlsSnippet(t, begin)), 0o600))
		cfg, err := config.Load(config.LoadOptions{File: file, Environ: []string{
			"SVCAUTH_ISSUER=https://auth.example.com"}})
		require.NoError(t, err, begin)
		require.Equal(t, want, cfg.TLS)
	}
}

// TestTheProxiesForCertificates starts each proxy with the configuration that
// mtls.md shows. Both ways to authenticate come through the address that asks
// for certificates, a secret too, and nothing that a caller writes into the
// proxy's field counts at either address.
func TestTheProxiesForCertificates(t *testing.T) {
	needs.Service(t, "nginx, HAProxy and Caddy")
	for name, c := range map[string]struct {
		start          startProxy
		header, format string
	}{
		"upstream":           {startProxyNginx, "X-SSL-Cert", "pem-urlencoded"},
		"defaults":           {startHAProxy, "Client-Cert", "rfc9440"},
		"auth.example.com {": {startCaddy, "Client-Cert", "rfc9440"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBehind(t, c.start, mtlsSnippet(t, name), "SVCAUTH_TLS_CLIENT_CERT_HEADER="+c.header,
				"SVCAUTH_TLS_CLIENT_CERT_FORMAT="+c.format)
			certificatesThrough(t, b.Server, b.front, b.mutual, b.authority, c.header)
		})
	}
}

// TestTheProxyThatChecksCertificates starts nginx with the lines that mtls.md
// shows for a proxy that checks the chain itself: what it says counts, and what
// callers write into its field does not. If it lets through what it found
// wrong, that proves nothing, though svcauth alone would have taken it.
func TestTheProxyThatChecksCertificates(t *testing.T) {
	needs.Service(t, "nginx")
	lines := strings.Split(mtlsSnippet(t, "ssl_verify_client optional;"), "\n")
	require.Equal(t, "# in its location", lines[2])
	for verify, selfSigned := range map[string]int{lines[0]: http.StatusBadRequest, // nginx's own refusal
		"ssl_verify_client optional_no_ca;": http.StatusUnauthorized} {
		t.Run(verify, func(t *testing.T) {
			t.Parallel()
			passes := "proxy_set_header X-SSL-Cert $ssl_client_escaped_cert;"
			config := strings.NewReplacer("ssl_verify_client optional_no_ca;", verify+"\n"+lines[1],
				passes, passes+"\n"+lines[3]).Replace(mtlsSnippet(t, "upstream"))
			b := newBehind(t, startProxyNginx, config, "SVCAUTH_TLS_CLIENT_CERT_HEADER=X-SSL-Cert",
				"SVCAUTH_TLS_CLIENT_CERT_FORMAT=pem-urlencoded",
				"SVCAUTH_TLS_CLIENT_CERT_VERIFIED_HEADER=X-SSL-Verify")
			metadata := b.Get("/.well-known/oauth-authorization-server", "").Text
			require.Contains(t, metadata, `"tls_client_auth"`)
			require.NotContains(t, metadata, "self_signed_tls_client_auth")

			issued := b.authority.Issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"deployer.example"} })
			self := certtest.SelfSigned(t, nil)
			account := b.Account("deployer", "clusters:view")
			for _, n := range []svcauth.NewCertificate{{SANDNS: "deployer.example"},
				{Certificate: string(certtest.PEM(self.Leaf))}} {
				_, err := b.App.Access.CreateCertificate(b.System(), account.ID, n)
				require.NoError(t, err)
			}
			good := strings.ReplaceAll(url.QueryEscape(string(certtest.PEM(issued.Leaf))), "+", "%20")
			ask := func(address string, pair *tls.Certificate, fields http.Header) int {
				t.Helper()
				return tokenThrough(t, b.Server, address, pair, url.Values{"client_id": {account.ID}}, fields)
			}
			said := http.Header{"X-Ssl-Verify": {"SUCCESS"}}
			require.Equal(t, http.StatusOK, ask(b.mutual, &issued, nil))
			require.Equal(t, http.StatusOK, ask(b.mutual, &issued, http.Header{"X-Ssl-Verify": {"FAILED"}}))
			require.Equal(t, selfSigned, ask(b.mutual, &self, nil))
			require.Equal(t, selfSigned, ask(b.mutual, &self, said))
			forged := http.Header{"X-Ssl-Verify": {"SUCCESS"}, "X-Ssl-Cert": {good}}
			require.Equal(t, http.StatusUnauthorized, ask(b.mutual, nil, forged))
			require.Equal(t, http.StatusUnauthorized, ask(b.front, nil, forged))
		})
	}
}

// behind is a server behind a proxy of mtls.md, with the proxy's two addresses.
type behind struct {
	*svctest.Server
	front, mutual string
	authority     *certtest.Authority
}

// startProxy makes the command that starts a proxy, in a directory of its own.
type startProxy func(t *testing.T, dir, config string) *exec.Cmd

func newBehind(t *testing.T, start startProxy, config string, environ ...string) behind {
	t.Helper()
	certificate, key := serverCertificate(t)
	dir, authority := t.TempDir(), certtest.New(t, "clients")
	b := behind{front: freeport.Address(t), mutual: freeport.Address(t), authority: authority}
	b.Server = svctest.New(t, svctest.Options{Environ: append(environ,
		"SVCAUTH_ISSUER=https://"+b.front, "SVCAUTH_TRUSTED_PROXIES=127.0.0.1",
		"SVCAUTH_TLS_MTLS_URL=https://"+b.mutual, "SVCAUTH_TLS_CLIENT_CA_FILE="+authority.File(t))})
	write := func(file string, content ...byte) string {
		path := filepath.Join(dir, file)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	port := func(address string) string {
		_, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		return port
	}
	certificates := "\ttls /etc/ssl/auth.example.com.crt /etc/ssl/auth.example.com.key"
	config = strings.NewReplacer( // Caddy gets its own where it runs for real
		"auth.example.com {\n", "auth.example.com:"+port(b.front)+" {\n"+certificates+"\n",
		"auth.example.com:8443", "auth.example.com:"+port(b.mutual),
		"\ttls {\n", certificates+" {\n",
	).Replace(config)
	text := strings.NewReplacer(
		"10.0.0.11:8080", strings.TrimPrefix(b.URL, "http://"),
		"listen 443", "listen "+b.front, "bind :443", "bind 127.0.0.1:"+port(b.front),
		"listen 8443", "listen "+b.mutual, "bind :8443", "bind 127.0.0.1:"+port(b.mutual),
		"/etc/ssl/auth.example.com.crt", write("front.crt", certificate...),
		"/etc/ssl/auth.example.com.key", write("front.key", key...),
		"/etc/ssl/auth.example.com.pem", write("front.pem", slices.Concat(certificate, key)...),
		"/etc/ssl/clients-ca.pem", write("ca.pem", certtest.PEM(authority.Certificate)...),
	).Replace(config)
	require.NotContains(t, text, "/etc/")
	svctest.StartProgram(t, start(t, dir, text),
		svctest.ServesTLS(b.front, "auth.example.com"), svctest.Listens(b.mutual))
	return b
}

func certificatesThrough(t *testing.T, s *svctest.Server, front, mutual string, authority *certtest.Authority,
	header string,
) {
	ask := func(address string, pair *tls.Certificate, id string, secret svcauth.Secret, forged string) int {
		t.Helper()
		fields := http.Header{}
		if forged != "" {
			fields.Set(header, forged)
		}
		form := url.Values{"client_id": {id}, "client_secret": {secret.Reveal()}}
		return tokenThrough(t, s, address, pair, form, fields)
	}
	issued := authority.Issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"deployer.example"} })
	self, stranger := certtest.SelfSigned(t, nil), certtest.New(t, "clients").Issue(t, func(c *x509.Certificate) {
		c.DNSNames = []string{"deployer.example"}
	})
	account := s.Account("deployer", "clusters:view")
	for _, n := range []svcauth.NewCertificate{{SANDNS: "deployer.example"}, {Certificate: string(
		certtest.PEM(self.Leaf))}} {
		_, err := s.App.Access.CreateCertificate(s.System(), account.ID, n)
		require.NoError(t, err)
	}
	// What a caller would write in the form of each proxy.
	forged := strings.ReplaceAll(url.QueryEscape(string(certtest.PEM(self.Leaf))), "+", "%20")
	if header == "Client-Cert" {
		forged = ":" + strings.Join(strings.Split(string(certtest.PEM(self.Leaf)), "\n")[1:], "")
		forged, _, _ = strings.Cut(forged, "-")
		forged += ":"
	}
	require.Equal(t, 200, ask(mutual, &issued, account.ID, "", ""))
	require.Equal(t, 200, ask(mutual, &issued, account.ID, "", ""), "again")
	require.Equal(t, 200, ask(mutual, &self, account.ID, "", ""))
	require.Equal(t, 401, ask(mutual, &stranger, account.ID, "", ""))
	require.Equal(t, 401, ask(mutual, nil, account.ID, "", ""))
	require.Equal(t, 401, ask(front, &self, account.ID, "", ""), "nobody asks for it there")
	require.Equal(t, 401, ask(front, nil, account.ID, "", forged), "the proxy takes it away")
	require.Equal(t, 401, ask(mutual, nil, account.ID, "", forged))
	require.Equal(t, 401, ask(mutual, &stranger, account.ID, "", forged))
	require.Equal(t, 200, ask(mutual, nil, account.ID, account.ClientSecret, ""))
	require.Equal(t, 200, ask(front, nil, account.ID, account.ClientSecret, ""))

	// The same header is good if the proxy itself sends it, so that what the
	// lines above refuse, they refuse because of the proxy.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/oauth2/token", strings.NewReader(
		url.Values{"grant_type": {"client_credentials"}, "client_id": {account.ID}}.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set(header, forged)
	require.Equal(t, 200, s.Do(req).Status)
}

// tokenThrough asks for a token at an address, with a certificate unless it is
// nil, and returns the status. An empty client_secret is left out.
func tokenThrough(t *testing.T, s *svctest.Server, address string, pair *tls.Certificate, form url.Values,
	fields http.Header,
) int {
	t.Helper()
	const name = "auth.example.com" // which Caddy wants to be called; the certificate is for example.com
	config := &tls.Config{ServerName: name, InsecureSkipVerify: true}
	if pair != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return pair, nil
		}
	}
	through := *s
	through.HTTP = &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: config}}
	defer through.HTTP.CloseIdleConnections()
	form.Set("grant_type", "client_credentials")
	if form.Get("client_secret") == "" {
		form.Del("client_secret")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+address+"/oauth2/token",
		strings.NewReader(form.Encode()))
	require.NoError(t, err)
	maps.Copy(req.Header, fields)
	req.Host = name
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return through.Do(req).Status
}
