package server

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/request"
)

// InFlight says how many requests are in work, the streams of the feed aside.
func (s *Server) InFlight() int { return len(s.inflight) }

// bound refuses early what would only wait: at most MaxInflight requests are in work. A stream of the feed gives its place back when it has begun, and
// who waits for receipts when it has nothing else to do: they have bounds of their own.
// The body is read before a place is taken: else callers who send a byte now and then would hold all places, and nobody else would be served. But where there is no place,
// nothing is read at all.
// Probes need no place: a node that is busy is alive, and whoever takes it for dead makes the others busier.
func (s *Server) bound(c *gin.Context) {
	defer endUnread(c)
	probe := probes(c.Request.URL.Path)
	if !probe && len(s.inflight) == cap(s.inflight) {
		s.shed(c)
		return
	}
	if !s.readBody(c) {
		c.Abort()
		return
	}
	conn := limits.ConnFrom(c.Request.Context())
	if probe {
		conn.Settle()
		return
	}
	p := s.take(c)
	if p == nil {
		s.shed(c)
		return
	}
	defer p.GiveBack()
	conn.Settle() // what was read is bounded by the places from here on
	p.state.SetSlot(p, &p.within)
	c.Writer = p
	c.Next()
}

func probes(path string) bool { return path == "/healthz" || path == "/readyz" }

// shed refuses a request for which there is no place. One with a long body loses its connection too: net/http would read that to its end first.
func (s *Server) shed(c *gin.Context) {
	if n := c.Request.ContentLength; n < 0 || n > smallBody {
		leaveUnread(c)
	} else if n > 0 {
		limits.ConnFrom(c.Request.Context()).Await()
	}
	s.refuse(c, request.Overloaded, nil)
	c.Abort()
}

// smallBody is what nearly all bodies fit into.
const smallBody = 4096

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
