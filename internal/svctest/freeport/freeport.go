// Package freeport finds ports for programs that tests start and that listen by
// themselves.
package freeport

import (
	"fmt"
	"net"
	"strconv"
	"sync"
)

// given are the ports that this process has returned. The system may name one
// again while what it was meant for has not begun to listen.
var given sync.Map

// Port returns a TCP port of 127.0.0.1 on which nobody listens, each only once
// in a process.
func Port() (int, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // not before the end, or the system would name it once more
		port := l.Addr().(*net.TCPAddr).Port
		if _, twice := given.LoadOrStore(port, true); !twice {
			return port, nil
		}
	}
}

// TB is the part of testing.TB that Address needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Address returns 127.0.0.1 with a [Port]. It ends the test if there is none.
func Address(t TB) string {
	t.Helper()
	port, err := Port()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
