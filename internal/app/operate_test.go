package app_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
)

func dial(t *testing.T, s *svctest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A client that sends its head, or its body, a byte now and then holds its
// connection for a bounded time.
func TestSlowClientsAreCutOff(t *testing.T) {
	needs.Time(t)
	t.Parallel()
	s := svctest.New(t, svctest.Options{})
	began := time.Now()
	for name, start := range map[string]string{
		"header": "POST /oauth2/token HTTP/1.1\r\nHost: x\r\n",
		"body": "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
			"Content-Length: 1000\r\n\r\n",
		"silent": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, s)
			_, err := io.WriteString(conn, start)
			require.NoError(t, err)
			go func() {
				for { // a drop now and then keeps it from being idle
					if name == "silent" {
						return
					}
					if _, err := io.WriteString(conn, "x"); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			_ = conn.SetReadDeadline(time.Now().Add(3 * time.Minute))
			_, err = io.Copy(io.Discard, conn) // what it answers, and the end
			var timeout net.Error
			require.False(t, errorsAs(err, &timeout) && timeout.Timeout(), "still open after %v", time.Since(began))
		})
	}
}

func errorsAs(err error, target *net.Error) bool {
	e, ok := err.(net.Error)
	*target = e
	return ok
}

func TestHeadersAreBounded(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	conn := dial(t, s)
	_, _ = fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", strings.Repeat("a", 64<<10))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
}

// TestShutdownDrains: a request in work when SIGTERM comes is answered; a new
// one finds nobody.
func TestShutdownDrains(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_SHUTDOWN_GRACE=1m"}})
	account := s.Account("ci", "clusters:view")
	body := "grant_type=client_credentials&client_id=" + account.ClientID + "&client_secret=" +
		url.QueryEscape(account.ClientSecret.Reveal())
	conn := dial(t, s)
	_, err := fmt.Fprintf(conn,
		"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
			"Content-Length: %d\r\n\r\n%s", len(body), body[:20])
	require.NoError(t, err)
	time.Sleep(200 * time.Millisecond) // the server reads the head, and waits for the rest
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.Stop() }()
	require.Eventually(t, func() bool {
		other, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err == nil {
			_ = other.Close()
		}
		return err != nil
	}, patience, 10*time.Millisecond, "it takes no new connections")
	select {
	case <-stopped:
		t.Fatal("it did not wait for the request in work")
	default:
	}
	_, err = io.WriteString(conn, body[20:])
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode, string(raw))
	require.Contains(t, string(raw), "access_token")
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Fatal("it does not end when the last request has")
	}
}

// For shutdown_delay after SIGTERM a node says at /readyz that it stops. It
// serves callers that have not seen it yet, each connection once more.
func TestStoppingNodeIsLeftFirst(t *testing.T) {
	needs.Time(t)
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_SHUTDOWN_DELAY=5s"}})
	account := s.Account("ci", "clusters:view")
	reused := false
	ask := func(method, path string, form url.Values) (int, string) {
		ctx := httptrace.WithClientTrace(t.Context(),
			&httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { reused = got.Reused }})
		req, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := s.HTTP.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(raw)
	}
	token := func() {
		status, body := ask(http.MethodPost, "/oauth2/token",
			url.Values{"grant_type": {"client_credentials"}, "client_id": {account.ClientID},
				"client_secret": {account.ClientSecret.Reveal()}})
		require.Equal(t, 200, status, body)
	}
	token()
	token()
	require.True(t, reused)
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.Stop() }()
	require.Eventually(t, func() bool {
		status, body := ask(http.MethodGet, "/readyz", nil)
		return status == 503 && strings.Contains(body, `"status":"stopping"`)
	}, patience, 10*time.Millisecond, "it says that it stops")
	for range 3 {
		token()
		require.False(t, reused, "the connection ends with its answer")
	}
	status, _ := ask(http.MethodGet, "/healthz", nil)
	require.Equal(t, 200, status, "it lives")
	select {
	case <-stopped:
		t.Fatal("it did not wait until others have seen it")
	default:
	}
	<-stopped
}

// TestCertificateIsReadAgain without a restart, and half-written files do no
// harm.
func TestCertificateIsReadAgain(t *testing.T) {
	needs.Time(t)
	t.Parallel()
	s, other := svctest.New(t, svctest.Options{TLS: true}), svctest.New(t, svctest.Options{TLS: true})
	served := func() string {
		// which one it is, is what is asked
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return ""
		}
		defer conn.Close()
		require.GreaterOrEqual(t, conn.ConnectionState().Version, uint16(tls.VersionTLS12))
		return string(conn.ConnectionState().PeerCertificates[0].Raw)
	}
	first := served()
	require.NotEmpty(t, first)
	require.Equal(t, 200, s.Get("/healthz", "").Status)
	mine, theirs := filepath.Dir(s.CAFile), filepath.Dir(other.CAFile)
	write := func(name string, raw []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(mine, name), raw, 0o600))
	}
	write("cert.pem", []byte("-----BEGIN CERT"))
	time.Sleep(11 * time.Second) // it looks every ten
	require.Equal(t, first, served())
	for _, name := range []string{"key.pem", "cert.pem"} {
		raw, err := os.ReadFile(filepath.Join(theirs, name))
		require.NoError(t, err)
		write(name, raw)
	}
	require.Eventually(t, func() bool { now := served(); return now != "" && now != first }, patience,
		200*time.Millisecond)
	_, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "https://"),
		&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	require.Error(t, err, "TLS 1.2 at least")
}
