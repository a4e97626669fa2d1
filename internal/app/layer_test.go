package app_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// What net/http refuses by itself, before any handler, gets an answer like all
// others: JSON, a request id, a line in the log.
func TestUnreadableRequestsAreAnsweredAndLogged(t *testing.T) {
	for name, opts := range map[string]svctest.Options{"clear": {}, "TLS": {TLS: true}} {
		t.Run(name, func(t *testing.T) {
			s := svctest.New(t, opts)
			address := strings.TrimPrefix(strings.TrimPrefix(s.URL, "https://"), "http://")
			ask := func(clear bool, text string) (*http.Response, map[string]string) {
				conn, err := net.Dial("tcp", address)
				require.NoError(t, err)
				defer conn.Close()
				require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
				if opts.TLS && !clear {
					config := s.HTTP.Transport.(*http.Transport).TLSClientConfig.Clone()
					config.ServerName = "localhost"
					conn = tls.Client(conn, config)
				}
				_, _ = io.WriteString(conn, text)
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				defer resp.Body.Close()
				var body map[string]string
				require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
				return resp, body
			}
			for name, c := range map[string]struct {
				request string
				status  int
				says    string
			}{
				"Basic with a line break in it": {
					"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic c2Ff\r\nc3Zjcw==\r\n\r\n",
					400, "base64 -w0"},
				"no Host": {"GET / HTTP/1.1\r\n\r\n", 400, "Host"},
				"no HTTP": {"hello\r\n\r\n", 400, "HTTP/1.1"},
				"a large header": {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 30<<10) +
					"\r\n\r\n", 431, "16 KiB"},
				"a strange transfer": {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501,
					"Not Implemented"},
				"an old version": {"GET / HTTP/3.7\r\nHost: x\r\n\r\n", 505,
					"unsupported protocol version"},
			} {
				resp, body := ask(false, c.request)
				require.Equal(t, c.status, resp.StatusCode, name)
				require.Equal(t, "application/json", resp.Header.Get("Content-Type"), name)
				require.Equal(t, "invalid_request", body["error"], name)
				require.Contains(t, body["error_description"], c.says, name)
				id := resp.Header.Get("X-Request-Id")
				require.Regexp(t, "^req_", id, name)
				require.Contains(t, s.Log(), id, name)
			}
			if opts.TLS {
				resp, body := ask(true, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				require.Equal(t, 400, resp.StatusCode)
				require.Contains(t, body["error_description"], "https")
				require.Contains(t, s.Log(), resp.Header.Get("X-Request-Id"))
			}
			require.Equal(t, 200, s.Get("/healthz", "").Status)
		})
	}
}

// Start and end have log lines of their own: which version serves what, and why
// it stops.
func TestStartAndEndAreLogged(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	log := s.Log()
	for _, part := range []string{`"msg":"serving"`, `"version":"test"`, `"issuer":"` + s.Issuer + `"`,
		`"listen":"127.0.0.1:`, `"database":"sqlite://`, `"redis":"none`, `"go":"go1.`, `"ops_listen":"`,
		`"master_key":"/`} {
		require.Contains(t, log, part)
	}
	s.Stop()
	log = s.Log()
	require.Contains(t, log, `"msg":"stopping","why":"context canceled"`)
	require.Contains(t, log, `"msg":"stopped","why":"context canceled","error":"","uptime":"`)
}
