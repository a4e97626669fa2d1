// Not under the race detector: the handshakes and headers that are compared
// come one by one.

//go:build !race

package app_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// RFC 9325 §4.2: what TLS 1.2 is spoken with.
func TestTLSIsWithoutCBC(t *testing.T) {
	t.Parallel()
	dial := func(t *testing.T, s *svctest.Server, version uint16, suites ...uint16) error {
		config := s.HTTP.Transport.(*http.Transport).TLSClientConfig.Clone()
		config.ServerName, config.MaxVersion, config.CipherSuites = "localhost", version, suites
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "https://"), config)
		if err != nil {
			return err
		}
		require.Equal(t, version, conn.ConnectionState().Version)
		return conn.Close()
	}
	t.Run("1.2", func(t *testing.T) {
		s := svctest.New(t, svctest.Options{TLS: true})
		require.Error(t, dial(t, s, tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA))
		for _, suite := range []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256} {
			require.NoError(t, dial(t, s, tls.VersionTLS12, suite), tls.CipherSuiteName(suite))
		}
		require.NoError(t, dial(t, s, tls.VersionTLS13))
	})
	t.Run("1.3", func(t *testing.T) {
		s := svctest.New(t, svctest.Options{TLS: true, Environ: []string{"SVCAUTH_TLS_MIN_VERSION=1.3"}})
		require.Error(t, dial(t, s, tls.VersionTLS12))
		require.NoError(t, dial(t, s, tls.VersionTLS13))
	})
}

// RFC 6797 §7.1 and §7.2: in each answer if the issuer is https, and in none if
// it is http. Never for this very machine.
func TestStrictTransportSecurity(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts svctest.Options
		want string
	}{
		"http": {svctest.Options{}, ""},
		"a proxy ends TLS": {svctest.Options{Environ: []string{"SVCAUTH_ISSUER=https://auth.example.com"}},
			"max-age=31536000"},
		"https on this very machine": {svctest.Options{TLS: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := svctest.New(t, c.opts)
			for _, path := range []string{"/healthz", "/nothing", "/console/sign-in", "/v1/me", "/docs",
				"/.well-known/jwks.json"} {
				resp, err := s.HTTP.Get(s.URL + path)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, c.want, resp.Header.Get("Strict-Transport-Security"), path)
			}
			if c.opts.TLS {
				return
			}
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, "hello\r\n\r\n")
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusBadRequest, resp.StatusCode)
			require.Equal(t, c.want, resp.Header.Get("Strict-Transport-Security"), "what is no request")
		})
	}
}
