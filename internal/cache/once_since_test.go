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

// testRemembersSince: all nodes hear the same, and what Redis had is known to be
// lost once it is.
func testRemembersSince(t *testing.T, b backend) {
	one := b.node(t, Config{Prefix: "since:"})
	if b.url == "" {
		_, err := one.RemembersSince(t.Context())
		require.ErrorIs(t, err, ErrUnavailable)
		return
	}
	began := time.Now().Truncate(time.Millisecond)
	first := one.since(t, func(since time.Time) bool { return !since.Before(began) }, "a node that begins")
	other := b.node(t, Config{Prefix: "since:"})
	time.Sleep(rememberFor + rememberEvery)
	require.Equal(t, first, other.since(t, func(time.Time) bool { return true }, "an answer"), "nodes keep it alive")
	b.wipe()
	wiped := time.Now().Truncate(time.Millisecond)
	again := other.since(t, func(since time.Time) bool { return since.After(first) }, "a new beginning")
	require.False(t, again.Before(wiped))
	require.Equal(t, again, one.since(t, func(time.Time) bool { return true }, "an answer"))
}

// What was not asked of Redis may be missing there.
func TestRedisMissesWhatWasUsedWithoutIt(t *testing.T) {
	redis := redistest.Start(t)
	c := backend{url: redis.URL()}.node(t, Config{Prefix: "since:"})
	first := c.since(t, func(time.Time) bool { return true }, "a node that begins")
	redis.Must("CONFIG", "SET", "maxmemory", "1")
	_, err := c.ask(t, "sa_1", "a", time.Now().Add(time.Minute))
	require.ErrorIs(t, err, ErrUnavailable, "it refuses to write")
	used := time.Now().Truncate(time.Millisecond)
	redis.Must("CONFIG", "SET", "maxmemory", "0")
	again := c.since(t, func(since time.Time) bool { return since.After(first) }, "a new beginning")
	require.False(t, again.Before(used))
}

// A Redis that comes back with what it had some time ago does not claim to
// remember what came after.
func TestRedisThatComesBackWithAnOldState(t *testing.T) {
	redis := redistest.Start(t)
	c := backend{url: redis.URL()}.node(t, Config{Prefix: "since:"})
	first := c.since(t, func(time.Time) bool { return true }, "a node that begins")
	redis.Must("SAVE")
	until := time.Now().Add(time.Minute)
	_, err := c.ask(t, "sa_1", "a", until)
	require.NoError(t, err)
	redis.Kill()
	killed := time.Now().Truncate(time.Millisecond)
	time.Sleep(rememberFor)
	redis.Start()
	again := c.since(t, func(since time.Time) bool { return since.After(first) }, "a new beginning")
	require.False(t, again.Before(killed))
	redis.Must("SET", "since:{once}:since", "yesterday")
	_, err = c.RemembersSince(t.Context())
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, `"yesterday"; expected the milliseconds`)
}
