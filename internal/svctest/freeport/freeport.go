// Package freeport finds ports for programs that tests start and that listen by
// themselves.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// given are the ports that this process has returned. What one was meant for
// may not have begun to listen yet.
var given sync.Map

// The ports lie below those that Linux gives to callers and to whoever listens
// on port 0: between two moments one of those may have become anybody's, of
// whichever process.
const least, most = 10_240, 32_768

// Port returns a TCP port of 127.0.0.1 on which nobody listens, each only once
// in a process.
func Port() (int, error) {
	var last error
	for range 100 {
		port := least + rand.IntN(most-least)
		if _, twice := given.LoadOrStore(port, true); twice {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		last = err // somebody else listens there
	}
	return 0, fmt.Errorf("find a free port: %w", last)
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
