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

// Callers that send half a body and wait hold no slot. With ten slots and fifty
// such callers, tokens are still issued, and the callers get their answer when
// they go on.
func TestSlowWritersHoldNoPlace(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MAX_INFLIGHT=10"}})
	a := s.Account("ci", "clusters:view")
	var slow []net.Conn
	body := "grant_type=client_credentials&client_id=" + a.ClientID + "&client_secret=" + a.ClientSecret.Reveal()
	for range 50 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn,
			"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
				"Content-Length: %d\r\n\r\n%s", len(body), body[:10])
		require.NoError(t, err)
		slow = append(slow, conn)
	}
	for range 50 {
		require.NotEmpty(t, s.Token(a.ClientID, a.ClientSecret, ""))
		time.Sleep(5 * time.Millisecond)
	}
	for _, conn := range slow {
		_, err := conn.Write([]byte(body[10:]))
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
}
