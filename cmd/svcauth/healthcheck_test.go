package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/svctest"
)

// The health check of a container, which is told nothing, asks the server that
// has the same configuration: where that listens, and as it speaks there.
func TestHealthcheckAsksWhereTheServerListens(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8080":      "http://127.0.0.1:8080/readyz",
		":8080":               "http://127.0.0.1:8080/readyz",
		"0.0.0.0:80":          "http://127.0.0.1:80/readyz",
		"[::]:8080":           "http://[::1]:8080/readyz",
		"[::1]:8080":          "http://[::1]:8080/readyz",
		"10.1.2.3:9000":       "http://10.1.2.3:9000/readyz",
		"[fd00::5]:9000":      "http://[fd00::5]:9000/readyz",
		"auth.internal:18080": "http://auth.internal:18080/readyz",
	} {
		require.Equal(t, want, readyURL(config.Config{Listen: listen}))
		require.Equal(t, "https"+strings.TrimPrefix(want, "http"),
			readyURL(config.Config{Listen: listen, TLS: config.TLS{CertFile: "cert.pem"}}))
	}
	for _, tls := range []bool{false, true} {
		server := svctest.New(t, svctest.Options{TLS: tls})
		scheme, address, _ := strings.Cut(server.URL, "://")
		t.Setenv("SVCAUTH_LISTEN", address)
		t.Setenv("SVCAUTH_ISSUER", scheme+"://auth.localhost")
		if tls {
			t.Setenv("SVCAUTH_TLS_CERT_FILE", server.CAFile)
			t.Setenv("SVCAUTH_TLS_KEY_FILE", "key.pem") // of the server: the check has no use for it
		} else {
			t.Setenv("SVCAUTH_ISSUER", "http://localhost")
		}
		var out, said bytes.Buffer
		require.Zero(t, run(t.Context(), []string{"healthcheck"}, strings.NewReader(""), &out, &said), said.String())
	}
}
