package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// One address that holds all the connections it can get, and is answered slowly
// or not at all, keeps nobody out, neither others nor itself.
func TestNobodyIsKeptOutByConnections(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MAX_CONNECTIONS=20"}})
	dial := func(from string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := d.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	ask := func(conn net.Conn) {
		_, err := fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	first := dial("127.0.0.1")
	ask(first)
	for name, begin := range map[string]string{
		"says nothing":    "",
		"begins a header": "GET / HTTP/1.1\r\nHost",
		"withholds its body": "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: " +
			"application/x-www-form-urlencoded\r\nContent-Length: 300\r\n\r\ngrant",
		"is idle":             "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"does not read":       strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 100),
		"is not worth a body": "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n",
	} {
		for range 25 {
			_, err := fmt.Fprint(dial("127.0.0.2"), begin)
			require.NoError(t, err, name)
		}
		ask(first)
		ask(dial("127.0.0.1"))
		ask(dial("127.0.0.2"))
	}
}
