package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/limits"
)

// place is one among those in work, a [limits.Place]. It is given back when the
// answer begins: how fast it is read is the caller's affair, and slow readers
// must not hold all places.
type place struct {
	gin.ResponseWriter
	server  *Server
	request *http.Request
	within  limits.Within

	// Of a call of the management API, once its token is verified. They are set
	// before anything waits.
	organization string
	operator     bool

	state atomic.Int32
	// What the place has taken when it waits, for GiveBack.
	waiting *limits.Shares[string]
	key     string
}

// take returns a place for the request, or nil if there is none.
func (s *Server) take(c *gin.Context) *place {
	select {
	case s.inflight <- struct{}{}:
	default:
		return nil
	}
	p := &place{ResponseWriter: c.Writer, server: s, request: c.Request}
	p.within = limits.Within{Context: c.Request.Context(), Place: p}
	return p
}

// The states of a place.
const (
	inWork   = iota
	entering // is about to wait
	awaiting // is counted among those that wait for the database, too
	free
)

// GiveBack implements [limits.Place].
func (p *place) GiveBack() {
	switch p.state.Swap(free) {
	case inWork, entering:
		<-p.server.inflight
	case awaiting:
		p.waiting.Give(p.key, 1)
		<-p.server.inflight
	}
}

// Await implements [limits.Place].
func (p *place) Await() bool {
	if !p.state.CompareAndSwap(inWork, entering) {
		return true
	}
	key, privileged := p.Caller()
	waiting := p.server.waiting.of(p.request)
	if !waiting.Take(key, 1, privileged) {
		p.state.CompareAndSwap(entering, inWork)
		return false
	}
	p.waiting, p.key = waiting, key
	if !p.state.CompareAndSwap(entering, awaiting) { // given back meanwhile
		waiting.Give(key, 1)
	}
	return true
}

// Caller implements [limits.Place].
func (p *place) Caller() (key string, privileged bool) {
	if p.organization != "" {
		return p.organization, p.operator
	}
	from, _ := netip.ParseAddrPort(p.request.RemoteAddr)
	return limits.NetworkOf(from.Addr()).String(), false
}

// Write is of io.Writer.
func (p *place) Write(b []byte) (int, error) {
	p.GiveBack()
	return p.ResponseWriter.Write(b)
}

// WriteString is of io.StringWriter.
func (p *place) WriteString(s string) (int, error) {
	p.GiveBack()
	return p.ResponseWriter.WriteString(s)
}

// Unwrap is for http.ResponseController, which sets deadlines.
func (p *place) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// waiting bounds how many of the requests in work may wait for the database at
// once: three quarters, so that a database that hangs never takes all places
// from those who are served from memory. Each of the three kinds has a part of
// its own, and one network or organization a part of that.
type waiting struct {
	clients    *limits.Shares[string] // the OAuth2 endpoints
	people     *limits.Shares[string] // the console, and whoever comes with its cookie
	management *limits.Shares[string] // the management API, a part of it for the operator
}

// Where places are few, a part is two all the same, and one network or
// organization has eight of a part, or all of it: a client that has just been
// started asks several times at once.
const (
	fewestParts = 2
	fewestOfOne = 8
)

func newWaiting(maxInflight int) waiting {
	part := func(of, each, reserved int) *limits.Shares[string] {
		total := max(fewestParts, maxInflight/of)
		return limits.NewShares[string](limits.Bound{Total: total, Each: min(total, max(fewestOfOne, maxInflight/each)), Reserved: maxInflight / reserved})
	}
	const none = 1 << 30
	return waiting{clients: part(2, 4, none), people: part(8, 32, none), management: part(8, 16, 32)}
}

func (w *waiting) of(r *http.Request) *limits.Shares[string] {
	switch path := r.URL.Path; {
	case managed(path) && r.Header.Get("Authorization") != "":
		return w.management
	case managed(path), path == "/console", strings.HasPrefix(path, "/console/"):
		return w.people
	}
	return w.clients
}

func placeOf(c *gin.Context) *place {
	p, _ := c.Value("place").(*place)
	return p
}

// contextOf returns the request's context with its place.
func contextOf(c *gin.Context) context.Context {
	if p := placeOf(c); p != nil {
		return &p.within
	}
	return c.Request.Context()
}
