package cache

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// since waits until Redis says since when it remembers, and that passes.
func (c *Cache) since(t *testing.T, passes func(since time.Time) bool, what string) (since time.Time) {
	t.Helper()
	eventually(t, func() (ok bool) {
		var err error
		since, err = c.RemembersSince(t.Context())
		return err == nil && passes(since)
	}, what)
	return since
}

// testRemembersSince: each node knows since it began, and what Redis had is known
// to be lost once it is.
func testRemembersSince(t *testing.T, b backend) {
	one := b.node(t, Config{Prefix: "since:"})
	if b.url == "" {
		_, err := one.RemembersSince(t.Context())
		require.ErrorIs(t, err, ErrUnavailable)
		return
	}
	began := time.Now().Truncate(time.Millisecond)
	reached := func(since time.Time) bool { return !since.Before(began) }
	one.since(t, reached, "a node that begins")
	other := b.node(t, Config{Prefix: "since:"})
	other.since(t, reached, "another one")
	eventually(t, func() bool { // a machine that stands still for as long as it lasts has it begin anew
		noLater := time.Now()
		time.Sleep(rememberFor + rememberEvery)
		return !one.since(t, reached, "an answer").After(noLater)
	}, "nodes to keep it alive")
	wiped := time.Now()
	b.wipe()
	lost := func(since time.Time) bool { return !since.Before(wiped) }
	other.since(t, lost, "a new beginning")
	one.since(t, lost, "a new beginning")
	used := time.Now()
	other.Lacks()
	one.since(t, func(since time.Time) bool { return !since.Before(used) }, "what another says")
}

// What was not asked of Redis may be missing there.
func TestRedisMissesWhatWasUsedWithoutIt(t *testing.T) {
	redis := redistest.Start(t)
	c := backend{url: redis.URL()}.node(t, Config{Prefix: "since:"})
	c.since(t, func(time.Time) bool { return true }, "a node that begins")
	redis.Must("CONFIG", "SET", "maxmemory", "1")
	_, err := c.ask(t, "sa_1", "a", time.Now().Add(time.Minute))
	require.ErrorIs(t, err, ErrUnavailable, "it refuses to write")
	used := time.Now().Truncate(time.Millisecond)
	redis.Must("CONFIG", "SET", "maxmemory", "0")
	c.since(t, func(since time.Time) bool { return !since.Before(used) }, "a new beginning")
}

// A Redis that comes back with what it had some time ago does not claim to
// remember what came after.
func TestRedisThatComesBackWithAnOldState(t *testing.T) {
	redis := redistest.Start(t)
	c := backend{url: redis.URL()}.node(t, Config{Prefix: "since:"})
	c.since(t, func(time.Time) bool { return true }, "a node that begins")
	redis.Must("SAVE")
	until := time.Now().Add(time.Minute)
	_, err := c.ask(t, "sa_1", "a", until)
	require.NoError(t, err)
	redis.Kill()
	killed := time.Now().Truncate(time.Millisecond)
	time.Sleep(rememberFor)
	redis.Start()
	c.since(t, func(since time.Time) bool { return !since.Before(killed) }, "a new beginning")
}
