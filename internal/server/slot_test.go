package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/limits"
)

// enter takes a place for a request.
func enter(t *testing.T, s *Server, path, from, authorization string) *slot {
	t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest(http.MethodGet, path, nil)
	c.Request.RemoteAddr = from + ":1"
	if authorization != "" {
		c.Request.Header.Set("Authorization", authorization)
	}
	p := s.take(c)
	require.NotNil(t, p)
	return p
}

// However many requests wait for the database, a quarter of the places is left,
// and neither a kind of request nor a network nor an organization has the
// others' part.
func TestWaitingForTheDatabaseLeavesPlaces(t *testing.T) {
	const total = 320
	s := &Server{inflight: make(chan struct{}, total), waiting: newWaiting(total)}
	var waiting []*slot
	wait := func(path, authorization string, networks, tries int, as func(*slot)) (let int) {
		for i := range tries {
			p := enter(t, s, path, fmt.Sprintf("192.0.2.%d", i%networks), authorization)
			if as != nil {
				as(p)
			}
			if p.Await() {
				waiting = append(waiting, p)
				require.True(t, p.Await(), "it is counted once")
				let++
			} else {
				p.Release()
			}
		}
		return let
	}
	require.Equal(t, total/4, wait("/oauth2/token", "", 1, total, nil), "one network")
	require.Equal(t, total/4, wait("/oauth2/revoke", "", 100, total/2, nil), "the others")
	require.Equal(t, total/8, wait("/console/members", "", 100, total/4, nil))
	require.Zero(t, wait("/v1/me", "", 100, 10, nil), "a cookie is the console's")
	tenant := func(p *slot) { p.state.Organization = "org_1" }
	require.Equal(t, total/16, wait("/v1/me", "Bearer x", 100, total/8, tenant))
	require.Equal(t, total/16-total/32,
		wait("/v1/me", "Bearer x", 100, total/8, func(p *slot) { p.state.Organization = "org_2" }))
	require.Equal(t, total/32, wait("/v1/me", "Bearer x", 1, total/8,
		func(p *slot) { p.state.Organization, p.state.Operator = "org_0", true }), "what is kept for the operator")
	require.Equal(t, total*3/4, s.InFlight())
	for _, p := range waiting {
		p.Release()
		p.Release()
		require.True(t, p.Await(), "who has given it back is bounded otherwise")
	}
	require.Zero(t, s.InFlight())
	for _, shares := range []*limits.Shares[string]{s.waiting.clients, s.waiting.people, s.waiting.management} {
		require.Zero(t, shares.Used())
	}
}

// A place that is given back while it begins to wait is counted nowhere.
func TestPlaceIsGivenBackMeanwhile(t *testing.T) {
	s := &Server{inflight: make(chan struct{}, 100), waiting: newWaiting(100)}
	for range 1000 {
		p := enter(t, s, "/oauth2/token", "192.0.2.1", "")
		var group sync.WaitGroup
		group.Go(func() { p.Await() })
		group.Go(p.Release)
		group.Wait()
	}
	require.Zero(t, s.InFlight())
	require.Zero(t, s.waiting.clients.Used())
}
