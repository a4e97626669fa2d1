package tokensource

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certified writes a self-signed client certificate and its key.
func certified(t *testing.T, dir string, serial int64, until time.Time) (certFile, keyFile string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "checkout"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der := must(x509.CreateCertificate(rand.Reader, template, template, p256Key().Public(), p256Key()))
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pkcs8(t, p256Key()), 0o600))
	return certFile, keyFile
}

// mutual is the address of a token endpoint that asks for certificates, beside
// the one that doesn't.
type mutual struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // serial number and client_id of each request
}

func newMutual(t *testing.T, e *endpoint) *mutual {
	m := &mutual{}
	m.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		m.mu.Lock()
		defer m.mu.Unlock()
		presented := "none"
		if len(r.TLS.PeerCertificates) > 0 {
			presented = r.TLS.PeerCertificates[0].SerialNumber.String()
		}
		m.seen = append(m.seen, presented+" "+r.PostForm.Get("client_id"))
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "" || r.PostForm.Has("client_secret") || presented == "none" {
			refuse(w, 401, "invalid_client", "no")
			return
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"bound-to-%s-%d","token_type":"Bearer","expires_in":3600}`,
			presented, len(m.seen))
	}))
	// It names authorities of which the certificate is none.
	m.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, ClientCAs: x509.NewCertPool()}
	m.TLS.ClientCAs.AddCert(e.Certificate())
	m.StartTLS()
	t.Cleanup(m.Close)
	e.metadata = func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": e.URL, "token_endpoint": e.URL + "/oauth2/token",
			"revocation_endpoint": e.URL + "/oauth2/revoke",
			"mtls_endpoint_aliases": map[string]any{"token_endpoint": m.URL + "/oauth2/token",
				"revocation_endpoint": m.URL + "/oauth2/revoke", "of another type": 7}})
	}
	return m
}

func TestCertificateGoesToTheAliasAndIsReadAgain(t *testing.T) {
	e := newEndpoint(t)
	m := newMutual(t, e)
	dir := t.TempDir()
	certFile, keyFile := certified(t, dir, 1, time.Now().Add(time.Hour))
	s := e.source(t, func(c *Config) { c.ClientSecret, c.CertFile, c.KeyFile = "", certFile, keyFile })
	got, err := s.Token(soon(t))
	require.NoError(t, err)
	require.NoError(t, s.Revoke(soon(t), got.AccessToken))

	certified(t, dir, 2, time.Now().Add(time.Hour)) // while the connection is still open
	_, err = s.Token(soon(t))
	require.NoError(t, err)
	require.Equal(t, []string{"1 " + e.id, "1 " + e.id, "2 " + e.id}, m.seen)
	require.Zero(t, e.asked(), "nothing went to the endpoint that asks for no certificate")

	// The API is shown it too (RFC 8705 §3), and by a client with another
	// transport through CertificateTransport.
	for _, client := range []*http.Client{
		{Transport: s.Transport(nil)},
		{Transport: s.Transport(CertificateTransport(
			&http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool(e)}}, certFile, keyFile))},
	} {
		res, err := client.PostForm(m.URL, url.Values{"client_id": {"api"}})
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, "2 api", m.seen[len(m.seen)-1])
	}

	// A secret goes to the ordinary endpoint, whatever the metadata has.
	_, err = e.source(t).Token(soon(t))
	require.NoError(t, err)
	require.Equal(t, 1, e.asked())
}

func pool(e *endpoint) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(e.Certificate())
	return roots
}

func TestCertificateWithoutAliases(t *testing.T) {
	e := newEndpoint(t)
	certFile, keyFile := certified(t, t.TempDir(), 1, time.Now().Add(time.Hour))
	e.proves = func(form url.Values, r *http.Request) error {
		if form.Get("client_id") != e.id || r.Header.Get("Authorization") != "" {
			return fmt.Errorf("wrong id")
		}
		return nil
	}
	byCertificate := func(c *Config) { c.ClientSecret, c.CertFile, c.KeyFile = "", certFile, keyFile }
	_, err := e.source(t, byCertificate).Token(soon(t))
	require.NoError(t, err)
	e.set(func() { e.proves = func(url.Values, *http.Request) error { return fmt.Errorf("no certificate") } })
	require.Contains(t, failure(t, e.source(t, byCertificate)).Error(), "401 invalid_client: no certificate: "+
		"the certificate of "+certFile+` (subject "CN=checkout", until `)
}

func TestACertificateThatCanNotBeUsedIsSaid(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := certified(t, dir, 1, time.Now().Add(time.Hour))
	config := Config{Issuer: "https://auth.example.com", ClientID: "sa_x", CertFile: certFile}
	_, err := New(config)
	require.EqualError(t, err, "tokensource: CertFile is set, but KeyFile is not; set both")
	config.CertFile, config.KeyFile = "", keyFile
	_, err = New(config)
	require.EqualError(t, err, "tokensource: KeyFile is set, but CertFile is not; set both")
	config.CertFile, config.KeyFile = certFile, write(t, "other", pkcs8(t, rsaKey()))
	_, err = New(config)
	require.ErrorContains(t, err, "don't make a pair: tls: private key type does not match public key type")
	config.KeyFile = certFile
	_, err = New(config)
	require.ErrorContains(t, err, "the key file "+certFile+" don't make a pair")
	config.KeyFile = filepath.Join(dir, "absent")
	_, err = New(config)
	require.ErrorIs(t, err, os.ErrNotExist)

	e := newEndpoint(t)
	certFile, keyFile = certified(t, dir, 1, time.Now().Add(-time.Hour))
	refused := failure(t, e.source(t, func(c *Config) {
		c.ClientSecret, c.CertFile, c.KeyFile = "", certFile, keyFile
	}))
	require.Contains(t, refused.Error(), "the certificate file "+certFile+" has expired at 20")
	require.Zero(t, e.asked())
}
