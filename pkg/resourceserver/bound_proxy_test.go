package resourceserver_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
)

// TestCertificateFromAProxy: behind a proxy that ends TLS the certificate is the
// one that Config.ClientCertificate reads, and the proxy's own counts for
// nothing.
func TestCertificateFromAProxy(t *testing.T) {
	throughEach(t, func(t *testing.T, guard face) {
		mine, other := certtest.SelfSigned(t, nil), certtest.SelfSigned(t, nil)
		s := resourceserver.NewSigner(t)
		api := guard(resourceserver.VerifierOf(t, s, func(c *resourceserver.Config) {
			c.ClientCertificate = func(r *http.Request) *x509.Certificate {
				der, _ := base64.StdEncoding.DecodeString(r.Header.Get("Client-Cert"))
				shown, _ := x509.ParseCertificate(der)
				return shown
			}
		}), "clusters:view")
		token := s.Token(t, map[string]any{
			"cnf": map[string]any{"x5t#S256": dpop.CertificateThumbprint(mine.Leaf)}})
		for name, c := range map[string]struct {
			handedOn, own *x509.Certificate
			status        int
		}{
			"the right one":                {mine.Leaf, other.Leaf, http.StatusOK},
			"the right one, without TLS":   {mine.Leaf, nil, http.StatusOK},
			"another":                      {other.Leaf, nil, http.StatusUnauthorized},
			"none":                         {nil, nil, http.StatusUnauthorized},
			"the right one by the proxy":   {nil, mine.Leaf, http.StatusUnauthorized},
			"another, and the right proxy": {other.Leaf, mine.Leaf, http.StatusUnauthorized},
		} {
			r, w := httptest.NewRequest(http.MethodGet, somewhere, nil), httptest.NewRecorder()
			r.Header.Set("Authorization", "Bearer "+token)
			if c.handedOn != nil {
				r.Header.Set("Client-Cert", base64.StdEncoding.EncodeToString(c.handedOn.Raw))
			}
			if c.own != nil {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.own}}
			}
			api.ServeHTTP(w, r)
			require.Equal(t, c.status, w.Code, "%s: %s", name, w.Body)
		}
	})
}
