package server_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// An assertion passes once over all nodes: sent to both at the same time, with
// Redis flushed in between, and with Redis away.
func TestAssertionPassesOnceOverNodes(t *testing.T) {
	redis := redistest.Start(t)
	s := svctest.New(t, svctest.Options{Postgres: true, RedisURL: redis.URL()})
	other := s.Node()
	g := newSigner(t, s, p256(t), "ES256", nil)
	race := func() (passed int32) {
		assertion := g.sign(nil)
		var wait sync.WaitGroup
		for _, node := range []*svctest.Server{s, other, s, other} {
			wait.Go(func() {
				if node.Post("/oauth2/token", "", "", asserted(assertion)).Status == 200 {
					atomic.AddInt32(&passed, 1)
				}
			})
		}
		wait.Wait()
		return passed
	}
	again := func(forget func()) int {
		assertion := g.sign(nil)
		require.Equal(t, 200, g.ask(assertion).Status)
		forget()
		return other.Post("/oauth2/token", "", "", asserted(assertion)).Status
	}
	for range 10 {
		require.EqualValues(t, 1, race())
	}
	require.Equal(t, 401, again(func() {}))
	require.Equal(t, 401, again(redis.Flush))
	redis.Kill()
	require.EqualValues(t, 1, race())
	require.Equal(t, 401, again(func() {}))
}
