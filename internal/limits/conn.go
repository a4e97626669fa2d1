package limits

import (
	"crypto/tls"
	"errors"
	"math"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// Conn is one connection of [Conns]. The server that serves it says when it
// waits for the other side and when it does not.
type Conn struct {
	net.Conn
	raw    net.Conn
	tls    *tls.Conn // nil: without TLS
	conns  *Conns
	addr   netip.Addr
	crowds []*crowd    // all, and those of its address
	rests  atomic.Bool // its next deadline is for how long

	held   atomic.Bool  // it is meant to last; changed with conns.mu held
	writes atomic.Int64 // since when an answer is on its way into the kernel, as [now]; zero: none is
	slow   *time.Timer  // ends the patience with a write; nil before the first
	ticks  atomic.Bool  // slow will fire

	// Guarded by conns.mu.
	gone    bool
	waiting bool // for the other side: it may be closed for others
	writing bool // of late: it may be closed for others of its address
	header  bool // what is read is a request's header
	settled bool // what is read does not count
	bytes   int  // counted
	links   [6]link
}

// Rest says that the connection waits for its next request.
func (c *Conn) Rest() {
	c.do(c.rest)
	if c != nil {
		c.rests.Store(true)
	}
}

// Work says that a request is in work, or about to be.
func (c *Conn) Work() { c.do(func() { c.header = false; c.stir() }) }

// Await says that the request waits for the other side.
func (c *Conn) Await() { c.do(c.wait) }

// Settle says that what was read of the request, and what will be, is bounded
// otherwise: it counts no more.
func (c *Conn) Settle() { c.do(func() { c.count(-c.bytes); c.settled = true }) }

// Hold says that the connection is meant to last and must not be closed for
// others, until its next request.
func (c *Conn) Hold() { c.do(func() { c.stir(); c.held.Store(true) }) }

func (c *Conn) do(what func()) {
	if c == nil {
		return
	}
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	if !c.gone {
		what()
	}
}

// TLS returns the state of the connection's TLS, or nil if it has none.
func (c *Conn) TLS() *tls.ConnectionState {
	if c == nil || c.tls == nil {
		return nil
	}
	state := c.tls.ConnectionState()
	return &state
}

// Read implements net.Conn. It fails if there is no room for what was read and
// nobody has waited longer.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.admits(p[:n]) {
		return 0, errCrowded
	}
	if err != nil && c.tls != nil {
		c.answerClearText(err)
	}
	return n, err
}

// answerClearText tells a caller that speaks HTTP to a TLS listener so, if that
// is what a read failed for.
func (c *Conn) answerClearText(err error) {
	var clear tls.RecordHeaderError
	if errors.As(err, &clear) && clear.Conn != nil &&
		clear.RecordHeader[0] >= 'A' && clear.RecordHeader[0] <= 'Z' {
		_, _ = clear.Conn.Write(c.conns.form([]byte(ClearToTLS), c.RemoteAddr()))
	}
}

// takeTime is how long the other side may take for one write of its answer
// before it counts as keeping the server waiting. What fits into the kernel's
// buffer takes microseconds: no answer that is taken is lost for others.
const takeTime = 250 * time.Millisecond

// Write implements net.Conn. How fast an answer is taken is the other side's
// affair: whoever is slow waits like whoever sends nothing. A connection that is
// held never waits, so nobody looks how long its writes take.
func (c *Conn) Write(p []byte) (int, error) {
	if c.held.Load() {
		return c.Conn.Write(p)
	}
	c.do(c.write)
	c.writes.Store(now())
	defer c.writes.Store(0)
	c.tireAfter(takeTime)
	if _, err := c.Conn.Write(c.conns.form(p, c.RemoteAddr())); err != nil {
		return 0, err
	}
	return len(p), nil
}

// tireAfter has tire called, unless it will be anyway. The timer is not stopped
// at the end of a write: it costs most where it is set, so that the many writes
// of a busy connection have one together.
func (c *Conn) tireAfter(d time.Duration) {
	if !c.ticks.CompareAndSwap(false, true) {
		return
	}
	if c.slow == nil {
		c.slow = time.AfterFunc(math.MaxInt64, c.tire)
	}
	c.slow.Reset(d)
}

// tire counts the connection as waiting if it has been writing the same for
// takeTime.
func (c *Conn) tire() {
	c.ticks.Store(false)
	began := c.writes.Load()
	if began == 0 {
		return
	}
	if left := takeTime - time.Duration(now()-began); left > 0 {
		c.tireAfter(left)
		return
	}
	c.do(func() {
		if c.writes.Load() == began {
			c.wait()
		}
	})
}

// now is a time that never goes back, and never is zero.
func now() int64 { return int64(time.Since(origin)) + 1 }

var origin = time.Now()

// SetReadDeadline implements net.Conn. The first after Rest is for how long the
// connection may rest, which has a bound of its own.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if rest := c.conns.bound.Rest; c.rests.Swap(false) && rest > 0 && len(c.crowds) > 1 {
		if until := time.Now().Add(rest); t.IsZero() || t.After(until) {
			t = until
		}
	}
	return c.Conn.SetReadDeadline(t)
}

// CloseWrite is asked for by net/http after some of its own answers, so that
// whoever still sends can read them.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.do(c.leave)
	return c.Conn.Close()
}

// admits counts what was read and closes whoever has waited longest until
// there is room. It reports whether c is still there.
func (c *Conn) admits(p []byte) bool {
	s := c.conns
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gone || c.settled {
		return !c.gone
	}
	cost := len(p)
	if c.header {
		cost += countLines(p)
	}
	c.count(cost)
	for i, bound := range []int{s.bound.TotalBytes, s.bound.EachBytes} {
		for i < len(c.crowds) && c.crowds[i].bytes > bound && !c.gone {
			longest := c.crowds[i].reading.first
			if longest == nil {
				longest = c
			}
			s.drop(longest)
		}
	}
	return !c.gone
}

func (c *Conn) count(cost int) {
	before := c.bytes
	c.bytes += cost
	for _, in := range c.crowds {
		in.bytes += cost
		switch {
		case c.waiting && before == 0 && c.bytes > 0:
			in.reading.push(c)
		case c.waiting && before > 0 && c.bytes == 0:
			in.reading.remove(c)
		}
	}
}

func (c *Conn) rest() {
	c.count(-c.bytes)
	c.stir()
	c.header, c.settled = true, false
	c.held.Store(false)
	c.wait()
}

// write notes that an answer is being written.
func (c *Conn) write() {
	if c.waiting || c.writing || c.held.Load() {
		return
	}
	c.writing = true
	for _, in := range c.crowds {
		in.writing.push(c)
	}
}

func (c *Conn) wait() {
	if c.waiting || c.held.Load() {
		return
	}
	c.stir()
	c.waiting = true
	for _, in := range c.crowds {
		in.waiting.push(c)
		if c.bytes > 0 {
			in.reading.push(c)
		}
	}
	c.conns.change.Signal()
}

// stir is the end of waiting and of writing.
func (c *Conn) stir() {
	if c.writing {
		c.writing = false
		for _, in := range c.crowds {
			in.writing.remove(c)
		}
	}
	if !c.waiting {
		return
	}
	c.waiting = false
	for _, in := range c.crowds {
		in.waiting.remove(c)
		if c.bytes > 0 {
			in.reading.remove(c)
		}
	}
}

func (c *Conn) leave() {
	c.count(-c.bytes)
	c.stir()
	c.gone = true
	for _, in := range c.crowds {
		in.conns--
	}
	if len(c.crowds) > 1 && c.crowds[1].conns == 0 {
		delete(c.conns.byAddr, c.addr)
	}
	c.conns.change.Signal()
}

// queue is a list of connections, linked through their own fields. A
// connection is in at most one queue of each lane.
type queue struct {
	lane        int
	first, last *Conn
}

type link struct{ before, after *Conn }

func (q *queue) push(c *Conn) {
	c.links[q.lane] = link{before: q.last}
	if q.last == nil {
		q.first = c
	} else {
		q.last.links[q.lane].after = c
	}
	q.last = c
}

func (q *queue) remove(c *Conn) {
	l := c.links[q.lane]
	if l.before == nil {
		q.first = l.after
	} else {
		l.before.links[q.lane].after = l.after
	}
	if l.after == nil {
		q.last = l.before
	} else {
		l.after.links[q.lane].before = l.before
	}
	c.links[q.lane] = link{}
}
