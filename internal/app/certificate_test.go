package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/telemetry"
)

// A renewed certificate that can't be read is told once, with path and cause,
// and the old one serves; the metric has the end of the one in use.
func TestRenewedCertificates(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	wrote := time.Now().Add(-time.Hour)
	write := func(name string, text []byte) {
		require.NoError(t, os.WriteFile(name, text, 0o600))
		wrote = wrote.Add(time.Second) // as the clock of the file system may be coarse
		require.NoError(t, os.Chtimes(name, wrote, wrote))
	}
	first := time.Now().Add(24 * time.Hour).Truncate(time.Second)
	end := first.Add(90 * 24 * time.Hour)
	chain, private := selfSigned(t, first)
	write(cert, chain)
	write(key, private)

	var log bytes.Buffer
	a := &App{logger: slog.New(slog.NewJSONHandler(&log, nil)), metrics: telemetry.NewMetrics("test")}
	c := &certificate{section: "tls", certFile: cert, keyFile: key}
	_, err := c.get(nil)
	require.NoError(t, err)
	a.watchCertificate(c)
	look := func() {
		c.looked = time.Time{} // as ten seconds later
		a.measureCertificates()
	}
	ends := func(want time.Time) {
		t.Helper()
		answer := httptest.NewRecorder()
		a.metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		_, value, ok := strings.Cut(answer.Body.String(),
			"\nsvcauth_tls_certificate_expiry_timestamp_seconds{certificate=\"tls\"} ")
		require.True(t, ok)
		value, _, _ = strings.Cut(value, "\n")
		at, err := strconv.ParseFloat(value, 64)
		require.NoError(t, err)
		require.Equal(t, want.Unix(), int64(at))
	}
	ends(first)
	look()
	require.Empty(t, log.String())

	chain, private = selfSigned(t, end)
	write(cert, chain) // and the key is another one's
	for range 3 {
		look()
	}
	ends(first)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	for _, part := range []string{`"level":"WARN"`, "can't be read", cert, key, "private key does not match",
		first.UTC().Format("2006-01-02")} {
		require.Contains(t, log.String(), part)
	}
	require.NoError(t, os.Chmod(cert, 0))
	log.Reset()
	write(key, private)
	require.NoError(t, os.Chmod(cert, 0o600))
	look()
	ends(end)
	require.Contains(t, log.String(), "a renewed certificate is in use")
	require.NoError(t, os.Remove(cert))
	log.Reset()
	look()
	look()
	ends(end)
	require.Equal(t, 1, strings.Count(log.String(), "no such file"), log.String())
}

func selfSigned(t *testing.T, end time.Time) (chain, private []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: end}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
