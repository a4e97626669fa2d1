package server

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/request"
)

// InFlight returns how many requests are in work. The streams of the feed don't
// count.
func (s *Server) InFlight() int { return len(s.inflight) }

// bound lets at most MaxInflight requests be in work and refuses all others at
// once, since they would only wait. A stream of the feed releases its slot
// before it begins, and a call that waits for receipts once it has nothing else
// to do. Both have bounds of their own.
//
// The body is read before a slot is taken. Otherwise callers that send a byte
// now and then would hold all slots, and nobody else would be served. If there
// is no slot, nothing is read at all.
//
// Probes require no slot. A busy node is alive, and a load balancer that takes
// it for dead makes the others busier.
func (s *Server) bound(c *gin.Context) {
	conn := limits.ConnFrom(c.Request.Context())
	defer endUnread(c)
	probe := probes(c.Request.URL.Path)
	if !probe && len(s.inflight) == cap(s.inflight) {
		s.shed(c)
		return
	}
	if !s.readBody(c, conn) {
		c.Abort()
		return
	}
	if probe {
		conn.Settle()
		return
	}
	p := s.take(c)
	if p == nil {
		s.shed(c)
		return
	}
	defer p.Release()
	conn.Settle() // from here on the slots bound what was read
	p.state.SetSlot(p, &p.within)
	c.Writer = p
	c.Next()
}

func probes(path string) bool { return path == healthPath || path == readyPath }

// shed refuses a request for which there is no slot. A request with a long body
// loses its connection too, since net/http would read the body to its end
// first.
func (s *Server) shed(c *gin.Context) {
	passOver(c)
	s.refuse(c, request.Overloaded, nil)
	c.Abort()
}

// passOver leaves the body of a request that is refused before it was read.
func passOver(c *gin.Context) {
	if n := c.Request.ContentLength; n < 0 || n > smallBody {
		leaveUnread(c)
	} else if n > 0 {
		limits.ConnFrom(c.Request.Context()).Await()
	}
}

// smallBody is what nearly all bodies fit into.
const smallBody = 4096

// A caller that goes on sending wrong secrets beyond the limit gets each answer
// after a delay. A program that retries at once then asks once a second on each
// of its connections, instead of as fast as it can. A caller with more
// connections than may be delayed costs as much as without the delay.
const (
	refusalDelay = time.Second
	maxDelayed   = 1000 // answers at once
)

// delayRefusal holds an answer that is written but not sent: net/http sends a
// short one when the handler returns. The request holds no slot meanwhile.
func (s *Server) delayRefusal(ctx context.Context) {
	select {
	case s.delayed <- struct{}{}:
	default:
		return
	}
	defer func() { <-s.delayed }()
	select {
	case <-ctx.Done():
	case <-time.After(refusalDelay):
	}
}
