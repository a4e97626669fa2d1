// Not under the race detector: the connections differ from those of other tests
// by their TLS alone.

//go:build !race

package app_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// TestRedisOverMutualTLS has a Redis that lets in only who has a certificate of
// its CA; and one without is told in the log.
func TestRedisOverMutualTLS(t *testing.T) {
	redis := redistest.StartTLS(t)
	environ := []string{"SVCAUTH_REDIS_CA_FILE=" + redis.CAFile, "SVCAUTH_REDIS_CERT_FILE=" + redis.CertFile,
		"SVCAUTH_REDIS_KEY_FILE=" + redis.KeyFile}
	s := svctest.New(t, svctest.Options{RedisURL: redis.URL(), Environ: environ})
	ready(t, s, map[string]any{"status": "ok", "dependencies": map[string]any{"database": "ok", "redis": "ok"}})
	account := s.Account("ci", "clusters:view")
	s.Token(account.ClientID, account.ClientSecret, "")
	require.Eventually(t, func() bool { return strings.Contains(redis.Must("KEYS", "*"), ":token") }, patience,
		20*time.Millisecond)

	for name, some := range map[string][]string{"certificate": environ[:1], "authority": nil} {
		t.Run("without the "+name, func(t *testing.T) {
			other := svctest.New(t, svctest.Options{RedisURL: redis.URL(), Environ: some})
			ready(t, other, map[string]any{"status": "degraded",
				"dependencies": map[string]any{"database": "ok", "redis": "unavailable"}})
			require.Eventually(t, func() bool {
				return strings.Contains(other.Log(), "Redis is not available")
			}, patience, 20*time.Millisecond)
		})
	}
}

// TestTracesOverTLS reach a collector that an authority of its own vouches for,
// and that asks who sends them.
func TestTracesOverTLS(t *testing.T) {
	got := make(chan int, 100)
	collector := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- len(r.TLS.PeerCertificates)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	collector.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	collector.StartTLS()
	defer collector.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca,
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: collector.Certificate().Raw}), 0o600))
	cert, key := certificateFiles(t, func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	})
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_OTLP_ENDPOINT=" + collector.URL,
		"SVCAUTH_OTLP_CA_FILE=" + ca,
		"SVCAUTH_OTLP_CERT_FILE=" + cert, "SVCAUTH_OTLP_KEY_FILE=" + key}})
	account := s.Account("ci", "clusters:view")
	s.Token(account.ClientID, account.ClientSecret, "")
	s.Stop() // sends what is left
	require.Equal(t, 1, <-got)
}
