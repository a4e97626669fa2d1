// Not under the race detector: it measures what the kernel keeps for one
// connection.

//go:build !race

package app_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A caller that asks for pages and reads nothing costs the kernel little. What
// the kernel keeps of the answers stays small, however much is asked for.
func TestWhoDoesNotReadCostsLittle(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says how much a connection keeps")
	}
	r := start(t, "")
	addr := strings.TrimPrefix(r.base, "http://")
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4<<10))
	_, err = conn.Write([]byte(strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 40)))
	require.NoError(t, err)
	kept, before := int64(0), int64(-1)
	for ; kept == 0 || kept != before; time.Sleep(200 * time.Millisecond) {
		before, kept = kept, unread(t, addr, conn.LocalAddr().String())
	}
	require.Less(t, kept, int64(256<<10), "the kernel keeps it for one connection")
}

// unread is what the kernel keeps for the caller at to, who is connected to a
// server at from.
func unread(t *testing.T, from, to string) int64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/net/tcp")
	require.NoError(t, err)
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if fields[1] == hexAddr(t, from) && fields[2] == hexAddr(t, to) {
			queue, _, _ := strings.Cut(fields[4], ":")
			n, err := strconv.ParseInt(queue, 16, 64)
			require.NoError(t, err)
			return n
		}
	}
	t.Fatal("the connection is gone")
	return 0
}

// hexAddr writes an address at 127.0.0.1 as the kernel's table does.
func hexAddr(t *testing.T, addr string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", host)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	return fmt.Sprintf("0100007F:%04X", n)
}
