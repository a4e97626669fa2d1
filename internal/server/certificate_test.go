package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// bare is what a client sends that authenticates by its certificate, RFC 8705
// §2: its id, and no secret.
func bare(id string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}}
}

// register makes an account with one registration.
func (m mutual) register(t *testing.T, name string, n svcauth.NewCertificate) (id, registration string) {
	t.Helper()
	account := m.Account(name, "clusters:view")
	made, err := m.App.Access.CreateCertificate(m.System(), account.ID, n)
	require.NoError(t, err)
	return account.ID, made.ID
}

// RFC 8705 §2.1: a name in a certificate of the authorities proves a client, by
// each kind of name, and so does a renewed one.
func TestTLSClientAuth(t *testing.T) {
	t.Parallel()
	m := newMutual(t)
	spiffe, err := url.Parse("spiffe://example.org/deployer")
	require.NoError(t, err)
	issue := func(edit func(*x509.Certificate)) *tls.Certificate {
		pair := m.authority.Below(t, "middle").Issue(t, edit)
		return &pair
	}
	named := func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "deployer, one", Organization: []string{"Example"}}
		c.DNSNames, c.EmailAddresses = []string{"other.example", "deployer.example"}, []string{"ci@example.com"}
		c.URIs, c.IPAddresses = []*url.URL{spiffe}, nil
	}
	one, renewed, other := issue(named), issue(named), issue(func(c *x509.Certificate) {
		named(c)
		c.Subject.CommonName, c.DNSNames, c.EmailAddresses, c.URIs = "deployer", []string{"*.example"}, nil, nil
	})
	for name, n := range map[string]svcauth.NewCertificate{
		"dn": {SubjectDN: `CN=deployer\, one,O=Example`}, "dns": {SANDNS: "deployer.example"},
		"uri": {SANURI: spiffe.String()}, "email": {SANEmail: "ci@example.com"},
	} {
		id, registration := m.register(t, name, n)
		for _, pair := range []*tls.Certificate{one, renewed} {
			got := m.showing(t, pair).Post("/oauth2/token", "", "", bare(id))
			require.Equal(t, http.StatusOK, got.Status, "%s: %s", name, got.Text)
			_, claims := claimsOf(t, m.Server, got.JSON["access_token"].(string))
			require.Equal(t, registration, claims["cred"], name)
			require.Equal(t, "clusters:view", claims["scope"], name)
		}
		require.Equal(t, 401, m.showing(t, other).Post("/oauth2/token", "", "", bare(id)).Status, name)
	}
	// Introspection and revocation take it as well.
	id, _ := m.register(t, "own", svcauth.NewCertificate{SANDNS: "deployer.example"})
	seen := m.showing(t, one)
	token := seen.Post("/oauth2/token", "", "", bare(id)).JSON["access_token"].(string)
	form := url.Values{"client_id": {id}, "token": {token}}
	require.Equal(t, true, seen.Post("/oauth2/introspect", "", "", form).JSON["active"])
	require.Equal(t, http.StatusOK, seen.Post("/oauth2/revoke", "", "", form).Status)
	require.Equal(t, false, seen.Post("/oauth2/introspect", "", "", form).JSON["active"])

	metadata := m.Get("/.well-known/oauth-authorization-server", "").JSON
	for _, name := range []string{"token", "revocation", "introspection"} {
		require.Subset(t, metadata[name+"_endpoint_auth_methods_supported"],
			[]any{"tls_client_auth", "self_signed_tls_client_auth"})
	}
}

// All that proves nothing gets one answer: whether there is such a client,
// whether it has registered something, and what was wrong with the certificate.
func TestCertificatesThatProveNothing(t *testing.T) {
	t.Parallel()
	m := newMutual(t, "SVCAUTH_LIMITS_WRONG_SECRETS_PER_CLIENT=100")
	named := func(c *x509.Certificate) { c.DNSNames = []string{"deployer.example"} }
	with := func(edit func(*x509.Certificate)) tls.Certificate {
		return m.authority.Issue(t, func(c *x509.Certificate) { named(c); edit(c) })
	}
	right := m.authority.Issue(t, named)
	id, _ := m.register(t, "deployer", svcauth.NewCertificate{SANDNS: "deployer.example"})
	_, err := m.App.Access.CreateCertificate(m.System(), id,
		svcauth.NewCertificate{Certificate: string(certtest.PEM(certtest.SelfSigned(t, nil).Leaf))})
	require.NoError(t, err)
	require.Equal(t, 200, m.showing(t, &right).Post("/oauth2/token", "", "", bare(id)).Status)
	refused := map[string]string{}
	for name, pair := range map[string]tls.Certificate{
		"expired": with(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"not yet": with(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }),
		"CA:TRUE": with(func(c *x509.Certificate) { c.IsCA = true }),
		"for servers": with(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}),
		"another authority": certtest.New(t, "clients").Issue(t, named),
		"self-signed":       certtest.SelfSigned(t, named),
		"another name":      m.authority.Issue(t, nil),
	} {
		got := m.showing(t, &pair).Post("/oauth2/token", "", "", bare(id))
		require.Equal(t, http.StatusUnauthorized, got.Status, name)
		refused[got.Text] = name
	}
	for name, id := range map[string]string{
		"unknown client": svcauth.NewID(svcauth.PrefixServiceAccount), "no registration": m.Account("none").ID,
		"an application key": m.Tenant.ApplicationKey.ClientID, "no id": "x",
	} {
		got := m.showing(t, &right).Post("/oauth2/token", "", "", bare(id))
		require.Equal(t, http.StatusUnauthorized, got.Status, name)
		refused[got.Text] = name
	}
	require.Len(t, refused, 1, "%v", refused)
	for text := range refused {
		require.Contains(t, text, `"invalid_client"`)
	}
	require.Contains(t, m.Log(), `"reason":"wrong_certificate"`)

	// On the main listener nobody is asked, and nothing proves the client.
	got := m.Post("/oauth2/token", "", "", bare(id))
	require.Equal(t, http.StatusUnauthorized, got.Status)
	// RFC 8705 §2: client_id is required.
	got = m.showing(t, &right).Post("/oauth2/token", "", "", url.Values{"grant_type": {"client_credentials"}})
	require.Equal(t, http.StatusUnauthorized, got.Status)
	require.Contains(t, got.Text, "client_id")
	// A secret beside it is what counts.
	form := bare(id)
	form.Set("client_secret", svcauth.NewSecret().Reveal())
	require.Equal(t, http.StatusUnauthorized, m.showing(t, &right).Post("/oauth2/token", "", "", form).Status)
}

// Wrong certificates are counted as wrong secrets are.
func TestWrongCertificatesAreCounted(t *testing.T) {
	t.Parallel()
	m := newMutual(t, "SVCAUTH_LIMITS_WRONG_SECRETS_PER_CLIENT=3")
	id, _ := m.register(t, "deployer", svcauth.NewCertificate{SANDNS: "deployer.example"})
	wrong := certtest.SelfSigned(t, nil)
	seen, got := m.showing(t, &wrong), svctest.Answer{}
	for range 6 {
		if got = seen.Post("/oauth2/token", "", "", bare(id)); got.Status != http.StatusUnauthorized {
			break
		}
	}
	require.Equal(t, http.StatusTooManyRequests, got.Status)
	require.NotEmpty(t, got.Header.Get("Retry-After"))
}

// RFC 8705 §2.2: one certificate, whoever signed it, proves a client, also on a
// connection that resumes a session. It proves nothing any more as soon as it
// is removed, or has expired.
func TestSelfSignedTLSClientAuth(t *testing.T) {
	t.Parallel()
	m := newMutual(t)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key")
	out, err := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
		"-days", "30", "-subj", "/CN=deployer", "-keyout", key, "-out", cert).CombinedOutput()
	require.NoError(t, err, "%s", out)
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	id, registration := m.register(t, "deployer", svcauth.NewCertificate{Certificate: text})

	// curl, as the page shows it.
	out, err = exec.CommandContext(t.Context(), "curl", "-sS", "--cacert", m.CAFile, "--cert", cert, "--key", key,
		"-d", "grant_type=client_credentials", "-d", "client_id="+id,
		"https://"+m.address+"/oauth2/token").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), `"access_token"`)

	seen := m.showing(t, &pair)
	for i := range 3 {
		got := seen.Post("/oauth2/token", "", "", bare(id))
		require.Equal(t, http.StatusOK, got.Status, got.Text)
		seen.HTTP.CloseIdleConnections()
		resp, err := seen.HTTP.PostForm(seen.URL+"/oauth2/token", bare(id))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.True(t, resp.TLS.DidResume, "%d", i)
	}
	_, claims := claimsOf(t, m.Server, seen.Post("/oauth2/token", "", "", bare(id)).JSON["access_token"].(string))
	require.Equal(t, registration, claims["cred"])
	copied := certtest.SelfSigned(t, func(c *x509.Certificate) {
		c.Subject, c.SerialNumber = pair.Leaf.Subject, pair.Leaf.SerialNumber
		c.NotBefore, c.NotAfter = pair.Leaf.NotBefore, pair.Leaf.NotAfter
	}) // all the same but the key
	require.Equal(t, 401, m.showing(t, &copied).Post("/oauth2/token", "", "", bare(id)).Status)

	_, err = m.Admin().DeleteCertificate(t.Context(), id, registration, true, 0)
	require.NoError(t, err)
	seen.HTTP.CloseIdleConnections()
	require.Equal(t, 401, seen.Post("/oauth2/token", "", "", bare(id)).Status, "on a resumed connection too")
}

// A certificate that ends while its connection lasts proves nothing from then
// on, and no token outlives it.
func TestASelfSignedCertificateEnds(t *testing.T) {
	t.Parallel()
	m := newMutual(t)
	short := certtest.SelfSigned(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(3 * time.Second) })
	id, _ := m.register(t, "short", svcauth.NewCertificate{Certificate: string(certtest.PEM(short.Leaf))})
	seen := m.showing(t, &short)
	got := seen.Post("/oauth2/token", "", "", bare(id))
	require.Equal(t, http.StatusOK, got.Status)
	require.LessOrEqual(t, got.JSON["expires_in"], 4.0)
	require.Eventually(t, func() bool {
		return seen.Post("/oauth2/token", "", "", bare(id)).Status == http.StatusUnauthorized
	}, 20*time.Second, 500*time.Millisecond)
}

// The calls of /v1, and what they refuse.
func TestCertificatesOfAnAccount(t *testing.T) {
	t.Parallel()
	m := newMutual(t)
	admin, account := m.Admin(), m.Account("deployer")
	create := func(n svcauth.NewCertificate) (svcauth.Certificate, error) {
		return admin.CreateCertificate(t.Context(), account.ID, n)
	}
	self := certtest.SelfSigned(t, func(c *x509.Certificate) { c.Subject.CommonName = "deployer" })
	text := string(certtest.PEM(self.Leaf))
	for fault, n := range map[string]svcauth.NewCertificate{
		"exactly one":            {},
		"exactly one of":         {SANDNS: "a", SubjectDN: "CN=a"},
		"distinguished name":     {SubjectDN: "deployer"},
		"no IP address":          {SANIP: "10.0.0.0/8"},
		"control character":      {SANURI: "a b"},
		"no certificate in PEM":  {Certificate: "x"},
		"never be sent":          {Certificate: text + string(certtest.KeyPEM(t, self))},
		"must lie in the future": {SANDNS: "a", ExpiresAt: new(time.Now().Add(-time.Hour))},
	} {
		_, err := create(n)
		require.Error(t, err, fault)
		require.NotContains(t, err.Error(), "BEGIN PRIVATE")
		if fault != "must lie in the future" {
			require.ErrorContains(t, err, fault)
		}
	}
	whole, err := create(svcauth.NewCertificate{Certificate: text, Description: "the runner"})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(whole.ID, "crt_"))
	require.Equal(t, "self_signed_tls_client_auth", whole.Method)
	require.Equal(t, "CN=deployer", whole.Subject)
	require.Equal(t, self.Leaf.NotAfter.UTC(), whole.NotAfter.UTC())
	_, err = create(svcauth.NewCertificate{Certificate: text})
	require.ErrorContains(t, err, whole.ID)
	named, err := create(svcauth.NewCertificate{SubjectDN: "cn=deployer, o=Example"})
	require.NoError(t, err)
	require.Equal(t, "CN=deployer,O=Example", named.SubjectDN)
	for i := range svcauth.MaxCertificates - 2 {
		_, err := create(svcauth.NewCertificate{SANDNS: strings.Repeat("a", i+1)})
		require.NoError(t, err)
	}
	_, err = create(svcauth.NewCertificate{SANDNS: "one-too-many"})
	require.ErrorContains(t, err, "the most there can be")
	list, err := admin.Certificates(t.Context(), account.ID)
	require.NoError(t, err)
	require.Len(t, list.Items, svcauth.MaxCertificates)
	got, err := admin.Certificate(t.Context(), account.ID, whole.ID)
	require.NoError(t, err)
	require.Equal(t, whole, got)
	_, err = admin.DeleteCertificate(t.Context(), account.ID, whole.ID, false, 0)
	require.NoError(t, err)
	_, err = admin.Certificate(t.Context(), account.ID, whole.ID)
	require.ErrorContains(t, err, "no certificate")
	events, err := admin.AuditEvents(t.Context(), svcauth.AuditFilter{Action: "certificate.*"})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(events.Items), 3)
}
