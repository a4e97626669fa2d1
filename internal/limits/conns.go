package limits

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ConnBound says what connections may take.
type ConnBound struct {
	Total, Each           int // connections open at once: of all, of one address
	TotalBytes, EachBytes int // memory for what is being read: of all, of one address
	// Rest is for how long a connection may wait for its next request, unless
	// it is exempt. 0: for as long as whoever serves it lets it.
	Rest time.Duration
}

// errCrowded ends a connection that has waited longest when there is no room.
var errCrowded = errors.New("too much is being read at once")

// ClearToTLS is the answer to a request in clear text where TLS is spoken.
const ClearToTLS = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nThis is HTTP; expected HTTPS on this port.\n"

// headerLineBytes is what net/http keeps of a header's line beside its text.
const headerLineBytes = 200

// Conns bounds connections, and the memory for what is read from them before a
// request may begin its work. Nobody who comes is turned away as long as others
// keep the server waiting: whoever has done that for longest is closed. A
// connection whose request is in work, or that is held, is never closed.
//
// It is safe for concurrent use.
type Conns struct {
	bound   ConnBound
	exempt  func(netip.Addr) bool
	onClose func()

	// Form, if set, returns what is to be written in the place of p. It must be
	// set before the first connection.
	Form func(p []byte, to net.Addr) []byte

	mu     sync.Mutex
	change sync.Cond // a connection has ended or waits again
	closed bool
	all    crowd
	byAddr map[netip.Addr]*crowd
}

// crowd is the connections that share a bound.
type crowd struct {
	conns, bytes     int
	waiting, reading queue // by how long; reading: those of which something has been read
	writing          queue // whose answers are being written, or were last; none of them waits
}

// NewConns returns Conns within bound. An exempt address, such as a proxy's
// that all clients come through, has no share of its own, and decides itself
// how long its connections rest: to close one here while a request is on its
// way is to lose that request. onClose is called for each connection that is
// closed for others.
func NewConns(bound ConnBound, exempt func(netip.Addr) bool, onClose func()) *Conns {
	s := &Conns{bound: bound, exempt: exempt, onClose: onClose, byAddr: map[netip.Addr]*crowd{}, all: newCrowd(0)}
	s.change.L = &s.mu
	return s
}

func newCrowd(lane int) crowd {
	return crowd{waiting: queue{lane: lane}, reading: queue{lane: lane + 1}, writing: queue{lane: lane + 2}}
}

// Network returns what counts as one address: an IPv4 address or an IPv6 /64.
func Network(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return addr
}

// Listen returns a listener that accepts within the bounds. If config is not
// nil it speaks TLS.
func (s *Conns) Listen(inner net.Listener, config *tls.Config) net.Listener {
	return &listener{inner, s, config}
}

type listener struct {
	net.Listener
	conns  *Conns
	config *tls.Config
}

// Accept implements net.Listener. Its connections are *Conn.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if conn := l.conns.admit(raw); conn != nil {
			if l.config != nil {
				conn.tls = tls.Server(raw, l.config)
				conn.Conn = conn.tls
			}
			return conn, nil
		}
		_ = raw.Close()
	}
}

// lastRest is how long a connection may still wait for its first request once
// its listener is closed.
const lastRest = time.Second

// Close implements net.Listener.
func (l *listener) Close() error {
	err := l.Listener.Close()
	l.conns.mu.Lock()
	defer l.conns.mu.Unlock()
	l.conns.closed = true
	l.conns.change.Broadcast()
	time.AfterFunc(lastRest, l.conns.closeResting)
	return err
}

// closeResting closes the connections of which no byte of a request was read.
// Clients keep such ones in store, and a net/http server that shuts down waits
// five seconds for them.
func (s *Conns) closeResting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := s.all.waiting.first; c != nil; {
		next := c.links[s.all.waiting.lane].after
		if c.header && c.bytes == 0 {
			c.leave()
			_ = c.raw.Close()
		}
		c = next
	}
}

// admit makes room for raw. Of an address that has its share, whoever waits
// longest gives way, else who has longest been writing: else somebody who reads
// no answer would keep all others of the address out. admit returns nil if
// there is no room and will be none by waiting: the address has its share in
// work.
func (s *Conns) admit(raw net.Conn) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var addr netip.Addr
	if tcp, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		addr = tcp.AddrPort().Addr()
	}
	shares := addr.IsValid() && !s.exempt(addr.Unmap().WithZone(""))
	addr = Network(addr)
	for {
		own := s.byAddr[addr]
		switch {
		case shares && own != nil && own.conns >= s.bound.Each:
			longest := cmp.Or(own.waiting.first, own.writing.first)
			if longest == nil {
				return nil
			}
			s.drop(longest)
		case s.all.conns < s.bound.Total:
			return s.add(raw, addr, shares)
		case s.all.waiting.first != nil:
			s.drop(s.all.waiting.first)
		case s.closed:
			return nil
		default:
			s.change.Wait()
		}
	}
}

func (s *Conns) add(raw net.Conn, addr netip.Addr, shares bool) *Conn {
	c := &Conn{Conn: raw, raw: raw, conns: s, addr: addr, crowds: []*crowd{&s.all}}
	if shares {
		own := s.byAddr[addr]
		if own == nil {
			own = new(newCrowd(3))
			s.byAddr[addr] = own
		}
		c.crowds = append(c.crowds, own)
	}
	for _, in := range c.crowds {
		in.conns++
	}
	c.rest()
	return c
}

func (s *Conns) form(p []byte, to net.Addr) []byte {
	if s.Form == nil {
		return p
	}
	return s.Form(p, to)
}

// drop closes a connection for others.
func (s *Conns) drop(c *Conn) {
	c.leave()
	_ = c.raw.Close() // TLS would take the time to say goodbye
	s.onClose()
}

type connKey struct{}

// WithConn returns a context that carries the connection, for http.Server's
// ConnContext.
func WithConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// ConnFrom returns the connection that ctx carries. It is nil if there is
// none, and then its methods do nothing.
func ConnFrom(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}

// countLines returns what net/http keeps for the header's lines in p.
func countLines(p []byte) int { return headerLineBytes * bytes.Count(p, []byte{'\n'}) }
