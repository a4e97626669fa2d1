package docs_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
)

// TestTheProxiesOfThePage starts each proxy with the configuration that run.md
// shows, before two nodes of which the first is away. Tokens come through, the
// log has the caller's address, and the feed's stream is not held back.
func TestTheProxiesOfThePage(t *testing.T) {
	needs.Service(t, "nginx, HAProxy and Caddy")
	certificate, key := serverCertificate(t)
	for name, start := range map[string]func(t *testing.T, dir, config string) *exec.Cmd{
		"upstream": startProxyNginx, "defaults": startHAProxy, "../compose/Caddyfile": startCaddy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := ""
			if raw, err := os.ReadFile(name); err == nil { // to which the page links
				config = string(raw)
			}
			for _, s := range snippets(t, "run.md") {
				if strings.HasPrefix(s.text, name) {
					config = s.text
				}
			}
			require.NotEmpty(t, config, "the page shows no such configuration")
			dir, front := t.TempDir(), freeport.Address(t)
			log := &syncbuf.Buffer{}
			s := svctest.New(t, svctest.Options{Log: log,
				Environ: []string{"SVCAUTH_ISSUER=https://" + front, "SVCAUTH_TRUSTED_PROXIES=127.0.0.1"}})
			write := func(file string, parts ...[]byte) string {
				path, all := filepath.Join(dir, file), []byte{}
				for _, part := range parts {
					all = append(all, part...)
				}
				require.NoError(t, os.WriteFile(path, all, 0o600))
				return path
			}
			_, port, err := net.SplitHostPort(front)
			require.NoError(t, err)
			config = strings.NewReplacer(
				"10.0.0.11:8080", freeport.Address(t), "10.0.0.12:8080", strings.TrimPrefix(s.URL, "http://"),
				"svcauth-1:8080", freeport.Address(t), "svcauth-2:8080", strings.TrimPrefix(s.URL, "http://"),
				"8443", port, "\tadmin off\n", "\tadmin off\n\tdefault_bind 127.0.0.1\n",
				"listen 443", "listen "+front, "bind :443", "bind 127.0.0.1:"+port,
				"/etc/ssl/auth.example.com.crt", write("front.crt", certificate),
				"/etc/ssl/auth.example.com.key", write("front.key", key),
				"/etc/ssl/auth.example.com.pem", write("front.pem", certificate, key),
			).Replace(config)
			require.NotRegexp(t, `\b443\b`, config)
			require.NotContains(t, config, "/etc/")
			svctest.StartProgram(t, start(t, dir, config), svctest.ServesTLS(front, "auth.example.com"))
			throughProxy(t, s, front, log)
		})
	}
}

// throughProxy asks for tokens and the feed as a caller at another address.
func throughProxy(t *testing.T, s *svctest.Server, front string, log *syncbuf.Buffer) {
	const caller = "127.0.0.7"
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(caller)}}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext:     dialer.DialContext,
		TLSClientConfig: &tls.Config{ServerName: "auth.example.com", InsecureSkipVerify: true},
	}}
	t.Cleanup(client.CloseIdleConnections)
	account := s.Account("behind", "tokens:introspect")
	var bearer string
	for range 5 { // whichever node is next
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+front+"/oauth2/token",
			strings.NewReader(url.Values{"grant_type": {"client_credentials"}, "resource": {s.Issuer}}.Encode()))
		require.NoError(t, err)
		req.Host = "auth.example.com"
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(account.ClientID, account.ClientSecret.Reveal())
		through := *s
		through.HTTP = client
		a := through.Do(req)
		require.Equal(t, http.StatusOK, a.Status, a.Text)
		bearer, _ = a.JSON["access_token"].(string)
	}
	require.Eventually(t, func() bool {
		return strings.Contains(log.String(), `"ip":"`+caller+`"`)
	}, 20*time.Second, 20*time.Millisecond, "the log has another address than the caller's")

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+front+"/oauth2/revocations", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Accept", "text/event-stream")
	req.Host = "auth.example.com"
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if lines.Text() == "event: heartbeat" {
			return
		}
	}
	t.Fatal("the stream ended, or was held back, before its first sign of life")
}

// serverCertificate returns the certificate that package httptest brings along,
// and its key.
func serverCertificate(t *testing.T) (certificate, key []byte) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func startProxyNginx(t *testing.T, dir, config string) *exec.Cmd {
	return svctest.NginxCommand(t, dir, config)
}

func startHAProxy(t *testing.T, dir, config string) *exec.Cmd {
	file := filepath.Join(dir, "haproxy.cfg")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	out, err := exec.CommandContext(t.Context(), svctest.SystemProgram(t, "haproxy"), "-c", "-f", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return exec.Command(svctest.SystemProgram(t, "haproxy"), "-db", "-q", "-f", file)
}

// startCaddy starts Caddy, which keeps what it makes in dir.
func startCaddy(t *testing.T, dir, config string) *exec.Cmd {
	file := filepath.Join(dir, "Caddyfile")
	if !strings.HasPrefix(config, "{") && !strings.HasPrefix(config, "#") { // it has no options of its own
		config = "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}\n" + config
	}
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	cmd := exec.Command(svctest.SystemProgram(t, "caddy"), "run", "--adapter", "caddyfile", "--config", file)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir,
		"ISSUER_HOST=auth.example.com")
	return cmd
}
