package limits

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pair is one connection, seen from both sides.
type pair struct {
	server *Conn
	client net.Conn
}

// gone reports whether the server has closed it.
func (p pair) gone() bool {
	p.server.conns.mu.Lock()
	defer p.server.conns.mu.Unlock()
	return p.server.gone
}

// crowded returns a way to connect from an address of 127.0.0.0/8. 127.0.0.9
// is exempt.
func crowded(t *testing.T, bound ConnBound) (connect func(from string) pair, conns *Conns) {
	t.Helper()
	exempt := netip.MustParseAddr("127.0.0.9")
	conns = NewConns(bound, func(a netip.Addr) bool { return a == exempt }, func() {})
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := conns.Listen(inner, nil)
	t.Cleanup(func() { _ = l.Close() })
	return func(from string) pair {
		t.Helper()
		accepted := make(chan net.Conn, 1)
		go func() {
			conn, err := l.Accept()
			if err == nil {
				accepted <- conn
			}
		}()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		client, err := d.Dial("tcp", inner.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Close() })
		select {
		case conn := <-accepted:
			return pair{conn.(*Conn), client}
		case <-time.After(time.Minute):
			t.Fatal("not accepted")
			return pair{}
		}
	}, conns
}

func TestLongestWaitingConnectionGivesWay(t *testing.T) {
	connect, conns := crowded(t, ConnBound{Total: 4, Each: 3, TotalBytes: 1 << 20, EachBytes: 1 << 20})
	a, b, c := connect("127.0.0.1"), connect("127.0.0.1"), connect("127.0.0.1")
	a.server.Work()
	d := connect("127.0.0.1")
	assert.True(t, b.gone(), "the address has its share: its own longest gives way")
	assert.False(t, a.gone(), "its request is in work")
	e := connect("127.0.0.2")
	f := connect("127.0.0.2")
	assert.True(t, c.gone(), "of all, the longest gives way")
	assert.False(t, d.gone() || e.gone() || f.gone())
	d.server.Work()
	d.server.Rest()
	connect("127.0.0.2")
	assert.True(t, e.gone(), "a new request begins a new wait")
	_, err := e.client.Read(make([]byte, 1))
	assert.Error(t, err)
	assert.Equal(t, 4, conns.all.conns)
}

func TestConnectionsInWorkAreNotClosed(t *testing.T) {
	connect, conns := crowded(t, ConnBound{Total: 3, Each: 2, TotalBytes: 1 << 20, EachBytes: 1 << 20})
	a, b := connect("127.0.0.1"), connect("127.0.0.1")
	a.server.Work()
	b.server.Hold()
	_, err := b.server.Write([]byte("x"))
	require.NoError(t, err)
	refused := connect // the share is in work: one more of it is closed at once
	go func() {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.1")}}
		conn, err := d.Dial("tcp", a.client.RemoteAddr().String())
		if err == nil {
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
	}()
	c := refused("127.0.0.2")
	c.server.Work()
	assert.False(t, a.gone() || b.gone() || c.gone())
	done := make(chan pair)
	go func() { done <- connect("127.0.0.3") }()
	select {
	case <-done:
		t.Fatal("accepted beyond the limit")
	case <-time.After(100 * time.Millisecond):
	}
	// A first answer is taken at once. Of the second the other side takes
	// nothing, though the timer that runs is still the first one's.
	_, err = a.server.Write([]byte("x"))
	require.NoError(t, err)
	time.Sleep(takeTime / 2)
	go func() { _, _ = a.server.Write(make([]byte, 64<<20)) }()
	<-done
	assert.True(t, a.gone())
	assert.Equal(t, 3, conns.all.conns)
}

func TestAnAnswerThatIsTakenIsNotLostForOthers(t *testing.T) {
	for range 5 {
		connect, conns := crowded(t, ConnBound{Total: 1, Each: 1, TotalBytes: 1 << 20, EachBytes: 1 << 20})
		conns.Form = func(p []byte, _ net.Addr) []byte {
			time.Sleep(5 * time.Millisecond) // others run between the decision to write and the write
			return p
		}
		a := connect("127.0.0.1")
		a.server.Work()
		done := make(chan pair)
		go func() { done <- connect("127.0.0.2") }()
		time.Sleep(time.Millisecond) // so that it waits for a place, mostly
		_, err := a.server.Write([]byte("x"))
		require.NoError(t, err)
		_, err = io.ReadFull(a.client, make([]byte, 1))
		require.NoError(t, err)
		a.server.Rest()
		<-done
	}
}

func TestProxyHasNoShare(t *testing.T) {
	connect, _ := crowded(t, ConnBound{Total: 10, Each: 2, TotalBytes: 1 << 20, EachBytes: 1 << 20})
	first := connect("127.0.0.9")
	for range 9 {
		connect("127.0.0.9")
	}
	assert.False(t, first.gone())
}

func TestWhatIsReadIsBounded(t *testing.T) {
	connect, conns := crowded(t, ConnBound{Total: 10, Each: 5, TotalBytes: 1 << 20, EachBytes: 4096})
	read := func(p pair, text string) error {
		_, err := io.WriteString(p.client, text)
		require.NoError(t, err)
		_, err = io.ReadFull(p.server, make([]byte, len(text)))
		return err
	}
	idle, slow, other := connect("127.0.0.1"), connect("127.0.0.1"), connect("127.0.0.2")
	require.NoError(t, read(slow, strings.Repeat("x", 3000)))
	require.NoError(t, read(other, strings.Repeat("x", 3000)))
	right := connect("127.0.0.1")
	require.NoError(t, read(right, strings.Repeat("x", 2000)))
	assert.True(t, slow.gone(), "the longest of the address gives way")
	assert.False(t, idle.gone() || other.gone(), "who has sent nothing costs nothing, and others have their own")
	right.server.Settle()
	assert.Equal(t, 3000, conns.all.bytes)
	require.NoError(t, read(right, strings.Repeat("x", 5000)), "it is bounded otherwise now")
	require.ErrorIs(t, read(idle, strings.Repeat("a:\n", 30)), errCrowded,
		"a header's lines cost more than their bytes")
	other.server.Rest()
	assert.Zero(t, conns.all.bytes)
}

// A client's connection rests no longer than the bound. A proxy's does as long
// as its server lets it: the proxy closes it.
func TestProxyDecidesHowLongItsConnectionsRest(t *testing.T) {
	connect, _ := crowded(t, ConnBound{Total: 10, Each: 2, TotalBytes: 1 << 20, EachBytes: 1 << 20,
		Rest: 50 * time.Millisecond})
	proxy, client, first := connect("127.0.0.9"), connect("127.0.0.1"), connect("127.0.0.2")
	for _, p := range []pair{proxy, client} {
		p.server.Work()
		p.server.Rest()
	}
	for _, p := range []pair{proxy, client, first} {
		require.NoError(t, p.server.SetReadDeadline(time.Now().Add(time.Hour)))
	}
	_, err := client.server.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	for _, p := range []pair{proxy, first} { // first has sent no request yet: another bound is its
		_, err = p.client.Write([]byte("x"))
		require.NoError(t, err)
		_, err = p.server.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	require.NoError(t, client.server.SetReadDeadline(time.Time{}))
	_, err = client.client.Write([]byte("x"))
	require.NoError(t, err)
	_, err = client.server.Read(make([]byte, 1))
	require.NoError(t, err, "what follows is for its reader to say")
}

// Whoever has connected and asked nothing, as clients do in store, does not
// hold up the end of the server: it is closed with the listener, while net/http
// alone waits for it for five seconds.
func TestASpareConnectionHoldsNoShutdownUp(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	conns := NewConns(ConnBound{Total: 2, Each: 2, TotalBytes: 1 << 20, EachBytes: 1 << 20},
		func(netip.Addr) bool { return false }, func() {})
	listener := conns.Listen(inner, nil)
	s := &http.Server{Handler: http.NotFoundHandler()}
	ended := make(chan error)
	go func() { ended <- s.Serve(listener) }()
	spare, err := net.Dial("tcp", inner.Addr().String())
	require.NoError(t, err)
	defer spare.Close()
	require.Eventually(t, func() bool {
		conns.mu.Lock()
		defer conns.mu.Unlock()
		return conns.all.conns == 1
	}, time.Minute, time.Millisecond)
	require.NoError(t, listener.Close()) // as Shutdown begins
	require.ErrorIs(t, <-ended, net.ErrClosed)
	require.NoError(t, spare.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err = spare.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, s.Shutdown(t.Context()))
}
