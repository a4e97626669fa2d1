package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/token"
)

// InFlight says how many requests are in work, the streams of the feed aside.
func (s *Server) InFlight() int { return len(s.inflight) }

// bound refuses early what would only wait: at most MaxInflight requests are in work. A stream of the feed gives its place back when it has begun, and
// who waits for receipts when it has nothing else to do: they have bounds of their own.
// The body is read before a place is taken: else callers who send a byte now and then would hold all places, and nobody else would be served. But where there is no place,
// nothing is read at all.
// Probes need no place: a node that is busy is alive, and whoever takes it for dead makes the others busier.
func (s *Server) bound(c *gin.Context) {
	if probes(c.Request.URL.Path) {
		return
	}
	if len(s.inflight) == cap(s.inflight) {
		s.shed(c)
		return
	}
	if c.Request.ContentLength != 0 {
		raw, err := begin(c.Request)
		c.Request.Body = &readAhead{begin: bytes.NewReader(raw), err: err, ReadCloser: c.Request.Body}
	}
	select {
	case s.inflight <- struct{}{}:
		p := &place{ResponseWriter: c.Writer, taken: s.inflight}
		defer p.giveBack()
		c.Set("place", p)
		c.Writer = p
		c.Next()
	default:
		s.shed(c)
	}
}

// overload is the reason of a refusal for want of a place.
const overload = "overload"

func probes(path string) bool { return path == "/healthz" || path == "/readyz" }

// shed refuses a request for which there is no place. One with a long body loses its connection too: net/http would read that to its end first.
func (s *Server) shed(c *gin.Context) {
	if n := c.Request.ContentLength; n < 0 || n > smallBody {
		c.Header("Connection", "close")
	}
	e := token.Refuse(token.CodeUnavailable, overload, "the server is busy; try again in a moment")
	e.RetryAfter = time.Second
	s.refuse(c, "", e)
	c.Abort()
}

// Who goes on sending wrong secrets beyond the limit gets each answer late: a program that tries again as soon as it is refused asks once a second then, on each of its
// connections, instead of as fast as it can. One that has more connections than may be held costs as much as it did.
const (
	lateness = time.Second
	maxLate  = 1000 // answers that are held at once
)

// late holds an answer that is written but not sent: net/http sends a short one when the handler returns. It holds no place among the requests in work.
func (s *Server) late(ctx context.Context) {
	select {
	case s.held <- struct{}{}:
	default:
		return
	}
	defer func() { <-s.held }()
	select {
	case <-ctx.Done():
	case <-time.After(lateness):
	}
}

// giveBack frees the request's place among those in work, for one that will only wait from here on.
func giveBack(c *gin.Context) {
	if p, is := c.Value("place").(*place); is {
		p.giveBack()
	}
}

// place is one among those in work. It is given back when the answer begins: how fast it is read is the caller's affair, and slow readers must not hold all places.
type place struct {
	gin.ResponseWriter
	taken chan struct{}
	free  atomic.Bool
}

func (p *place) giveBack() {
	if p.free.CompareAndSwap(false, true) {
		<-p.taken
	}
}

// Write is of io.Writer.
func (p *place) Write(b []byte) (int, error) {
	p.giveBack()
	return p.ResponseWriter.Write(b)
}

// WriteString is of io.StringWriter.
func (p *place) WriteString(s string) (int, error) {
	p.giveBack()
	return p.ResponseWriter.WriteString(s)
}

// Unwrap is for http.ResponseController, which sets deadlines.
func (p *place) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// aheadBytes is more than any face takes of a body: the console's forms are the largest.
const aheadBytes = 128<<10 + 1

// smallBody is what nearly all bodies fit into.
const smallBody = 4096

// begin reads what there is of a body, up to aheadBytes. Nearly all are small and say so.
func begin(r *http.Request) ([]byte, error) {
	if n := r.ContentLength; n > 0 && n <= smallBody {
		raw := make([]byte, n)
		read, err := io.ReadFull(r.Body, raw)
		return raw[:read], err
	}
	return io.ReadAll(io.LimitReader(r.Body, aheadBytes))
}

// readAhead is a body whose beginning has been read, with the error that ended it. What is beyond stays where it is: whoever wants it is refused by a bound of its own.
type readAhead struct {
	begin *bytes.Reader
	err   error
	io.ReadCloser
}

// Read is of io.Reader.
func (r *readAhead) Read(p []byte) (int, error) {
	switch {
	case r.begin.Len() > 0:
		return r.begin.Read(p)
	case r.err != nil:
		return 0, r.err
	}
	return r.ReadCloser.Read(p)
}
