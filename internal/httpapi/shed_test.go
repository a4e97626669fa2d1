package httpapi_test

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

// Connections beyond limits.max_connections wait: none is refused, none is answered before another has ended, and then the first that waits is.
func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MAX_CONNECTIONS=10"}})
	var conns []net.Conn
	answered := func(conn net.Conn, within time.Duration) bool {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(within)))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			require.ErrorContains(t, err, "timeout", "a connection that waits is not refused")
			return false
		}
		require.Equal(t, http.StatusOK, resp.StatusCode)
		return true
	}
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		require.NoError(t, err)
		if !answered(conn, time.Second) {
			conns = append(conns, conn)
			break
		}
		conns = append(conns, conn)
		require.LessOrEqual(t, len(conns), 10)
	}
	require.NoError(t, conns[0].Close())
	require.True(t, answered(conns[len(conns)-1], 20*time.Second))
}
