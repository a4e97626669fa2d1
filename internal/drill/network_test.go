package drill_test

import (
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// network is a TCP proxy before a service, in which the network between a node
// and the service can be slow, silent, or cut.
type network struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	delay  time.Duration
	silent bool
	cut    bool
	conns  map[net.Conn]bool
}

func newNetwork(t testing.TB, target string) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &network{listener: l, target: target, conns: map[net.Conn]bool{}}
	t.Cleanup(func() {
		_ = l.Close()
		n.set(0, false, true)
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go n.carry(conn)
		}
	}()
	return n
}

// through returns a service's URL with the proxy's address in it.
func (n *network) through(t testing.TB, service string) string {
	t.Helper()
	u, err := url.Parse(service)
	require.NoError(t, err)
	u.Host = n.listener.Addr().String()
	return u.String()
}

// set changes the network from now on. What is silent swallows bytes, and they
// never come: as when a firewall forgets a connection. What is cut ends
// connections by a reset and takes no new ones.
func (n *network) set(delay time.Duration, silent, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay, n.silent, n.cut = delay, silent, cut
	if cut {
		for conn := range n.conns {
			reset(conn)
		}
	}
}

func (n *network) slow()    { n.set(200*time.Millisecond, false, false) }
func (n *network) silence() { n.set(0, true, false) }
func (n *network) sever()   { n.set(0, false, true) }

// heal makes it whole. Connections whose bytes were swallowed are no use any
// more, and end.
func (n *network) heal() {
	n.mu.Lock()
	swallowed := n.silent
	n.mu.Unlock()
	if swallowed {
		n.set(0, false, true)
	}
	n.set(0, false, false)
}

func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func (n *network) state() (delay time.Duration, silent, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.delay, n.silent, n.cut
}

func (n *network) carry(near net.Conn) {
	if _, _, cut := n.state(); cut {
		reset(near)
		return
	}
	far, err := net.Dial("tcp", n.target)
	if err != nil {
		reset(near)
		return
	}
	n.mu.Lock()
	n.conns[near], n.conns[far] = true, true
	n.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { n.pump(far, near) })
	both.Go(func() { n.pump(near, far) })
	both.Wait()
	n.mu.Lock()
	delete(n.conns, near)
	delete(n.conns, far)
	n.mu.Unlock()
}

func (n *network) pump(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		count, err := from.Read(buffer)
		if err != nil {
			return
		}
		delay, silent, _ := n.state()
		if silent {
			continue
		}
		time.Sleep(delay)
		if _, err := to.Write(buffer[:count]); err != nil {
			return
		}
	}
}
