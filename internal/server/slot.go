package server

import (
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/manage"
	"github.com/svcauth/svcauth/internal/request"
)

// slot is one of the MaxInflight in work, a [limits.Place]. It is given back
// when the answer begins, since slow readers must not hold all slots.
type slot struct {
	gin.ResponseWriter
	server *Server
	http   *http.Request
	state  *request.State
	within limits.Within

	phase atomic.Int32
	// What the slot has taken for its wait, for Release to return.
	waiting *limits.Shares[string]
	key     string
}

// take returns a slot for the request, or nil if there is none.
func (s *Server) take(c *gin.Context) *slot {
	select {
	case s.inflight <- struct{}{}:
	default:
		return nil
	}
	p := &slot{ResponseWriter: c.Writer, server: s, http: c.Request, state: request.Of(c)}
	p.within = limits.Within{Context: c.Request.Context(), Place: p}
	return p
}

// The phases of a slot.
const (
	inWork   = iota
	entering // is about to wait
	awaiting // is counted among those that wait for the database, too
	free
)

// Release implements [limits.Place].
func (p *slot) Release() {
	switch p.phase.Swap(free) {
	case inWork, entering:
		<-p.server.inflight
	case awaiting:
		p.waiting.Give(p.key, 1)
		<-p.server.inflight
	}
}

// Await implements [limits.Place].
func (p *slot) Await() bool {
	if !p.phase.CompareAndSwap(inWork, entering) {
		return true
	}
	key, privileged := p.Caller()
	waiting := p.server.waiting.of(p.http)
	if !waiting.Take(key, 1, privileged) {
		p.phase.CompareAndSwap(entering, inWork)
		return false
	}
	p.waiting, p.key = waiting, key
	if !p.phase.CompareAndSwap(entering, awaiting) { // given back meanwhile
		waiting.Give(key, 1)
	}
	return true
}

// Caller implements [limits.Place].
func (p *slot) Caller() (key string, privileged bool) {
	if p.state.Organization != "" {
		return p.state.Organization, p.state.Operator
	}
	from, _ := netip.ParseAddrPort(p.http.RemoteAddr)
	return limits.NetworkOf(from.Addr()).String(), false
}

// Write implements io.Writer. It gives the slot back first.
func (p *slot) Write(b []byte) (int, error) {
	p.Release()
	return p.ResponseWriter.Write(b)
}

// WriteString implements io.StringWriter. It gives the slot back first.
func (p *slot) WriteString(s string) (int, error) {
	p.Release()
	return p.ResponseWriter.WriteString(s)
}

// Unwrap lets http.ResponseController set deadlines.
func (p *slot) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// waiting bounds how many of the requests in work may wait for the database at
// once. It is three quarters, so a database that hangs never takes all slots
// from callers that are served from memory. Each of the three kinds has a part
// of its own, and one network or organization has a part of that.
type waiting struct {
	clients    *limits.Shares[string] // the OAuth2 endpoints
	people     *limits.Shares[string] // the console, and whoever comes with its cookie
	management *limits.Shares[string] // the management API, a part of it for the operator
}

// If there are few slots, a part is still two, and one network or organization
// has eight of a part, or all of it. A client that has just been started asks
// several times at once.
const (
	fewestParts = 2
	fewestOfOne = 8
)

func newWaiting(maxInflight int) waiting {
	part := func(of, each, reserved int) *limits.Shares[string] {
		total := max(fewestParts, maxInflight/of)
		return limits.NewShares[string](limits.Bound{
			Total:    total,
			Each:     min(total, max(fewestOfOne, maxInflight/each)),
			Reserved: maxInflight / reserved,
		})
	}
	const none = 1 << 30
	return waiting{clients: part(2, 4, none), people: part(8, 32, none), management: part(8, 16, 32)}
}

func (w *waiting) of(r *http.Request) *limits.Shares[string] {
	switch path := r.URL.Path; {
	case manage.Owns(path) && r.Header.Get("Authorization") != "":
		return w.management
	case manage.Owns(path), path == "/console", strings.HasPrefix(path, "/console/"):
		return w.people
	}
	return w.clients
}
