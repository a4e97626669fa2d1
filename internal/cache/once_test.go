package cache

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// operators is a client of the operator's organization, which has all the room.
func operators(client string) Owner { return Owner{Client: client, Org: "org_1", Operator: true} }

func (c *Cache) use(t *testing.T, client, what string, until time.Time) Use {
	t.Helper()
	use, err := c.ask(t, client, what, until)
	require.NoError(t, err)
	return use
}

// ask asks this process and then the others.
func (c *Cache) ask(t *testing.T, client, what string, until time.Time) (Use, error) {
	t.Helper()
	id := UseID(client, what)
	use := c.OnceHere(operators(client), id, until)
	if !c.Shared() || use == UseAgain || use == UseTooMany {
		return use, nil
	}
	first, err := c.OnceAmongNodes(t.Context(), id, until)
	if err == nil && !first {
		return UseAgain, nil
	}
	return use, err
}

// testOnce: of all who use the same at once, on all nodes, one is the first.
func testOnce(t *testing.T, b backend) {
	prefix := fmt.Sprintf("once%d:", prefixes.Add(1))
	one := b.node(t, Config{Prefix: prefix})
	nodes := []*Cache{one}
	if b.url != "" {
		nodes = append(nodes, b.node(t, Config{Prefix: prefix}))
	}
	until := time.Now().Add(time.Minute)
	for round := range 20 {
		var first atomic.Int64
		var wait sync.WaitGroup
		for i := range 8 {
			wait.Go(func() {
				use, err := nodes[i%len(nodes)].ask(t, "sa_1", fmt.Sprint("jti-", round), until)
				if err != nil || use != UseFirst && use != UseAgain {
					t.Error(use, err)
				}
				if use == UseFirst {
					first.Add(1)
				}
			})
		}
		wait.Wait()
		require.EqualValues(t, 1, first.Load())
	}
	require.Equal(t, UseFirst, one.use(t, "sa_2", "jti-0", until), "another client's is its own")
	if b.url != "" {
		twice := []*SharedUse{{ID: UseID("sa_1", "twice"), Until: until}, {ID: UseID("sa_1", "twice"), Until: until}}
		one.OnceShared(t.Context(), twice)
		require.Equal(t, []bool{false, true}, []bool{twice[0].Again, twice[1].Again}, "also of two at once")
	}

	// A process that was started anew asks Redis, if there is one: else the
	// database is asked.
	again := b.node(t, Config{Prefix: prefix})
	if b.url != "" {
		require.Equal(t, UseAgain, again.use(t, "sa_1", "jti-0", until))
		b.wipe()
		require.Equal(t, UseAgain, again.use(t, "sa_1", "jti-0", until), "this process remembers it, too")
		require.Equal(t, UseFirst, again.use(t, "sa_1", "jti-1", until), "Redis may forget")
	} else {
		require.Equal(t, UseFirst, again.use(t, "sa_1", "jti-0", until))
	}
}

// testOnceEnds: what is over may be used again, nothing is kept for longer than
// [MaxOnceFor] and what clocks may differ by, and reading Redis does not tell
// what was used.
func testOnceEnds(t *testing.T, b backend) {
	clock, prefix := newClock(), fmt.Sprintf("once%d:", prefixes.Add(1))
	c := b.node(t, Config{Prefix: prefix, Clock: clock.Now})
	require.Equal(t, UseFirst, c.use(t, "sa_1", "short", clock.Now().Add(50*time.Millisecond)))
	require.Equal(t, UseFirst, c.use(t, "sa_1", "long", clock.Now().Add(24*time.Hour)))
	require.Equal(t, UseFirst, c.use(t, "sa_1", "past", clock.Now().Add(-time.Second)))
	uses := 0
	for key, left := range b.keys(prefix) {
		if !strings.HasSuffix(key, ":once") {
			continue // what the node's writer has left meanwhile is kept for as long as it likes
		}
		uses++
		require.NotContains(t, key, "sa_1")
		require.NotContains(t, key, "long")
		require.False(t, strings.HasPrefix(left, "-1"), "%s is kept for ever", key)
		require.LessOrEqual(t, milliseconds(t, left), (MaxOnceFor + ClocksDiffer).Milliseconds())
	}
	if b.url != "" {
		require.Positive(t, uses)
	}
	clock.Advance(40 * time.Millisecond)
	require.Equal(t, UseAgain, c.use(t, "sa_1", "short", clock.Now().Add(time.Minute)))
	clock.Advance(10 * time.Millisecond)
	if b.url == "" { // Redis goes by its own clock, and keeps it for the nodes that are behind
		require.Equal(t, UseFirst, c.use(t, "sa_1", "short", clock.Now().Add(-time.Second)))
	}
	clock.Advance(MaxOnceFor - time.Second)
	require.Equal(t, UseAgain, c.use(t, "sa_1", "long", clock.Now().Add(time.Hour)))
	c.Forget(UseID("sa_1", "long"))
	c.Forget(UseID("sa_1", "never used"))
	require.NotContains(t, c.once.byID, sha256.Sum256([]byte("sa_1\x00long")))
}

func milliseconds(t *testing.T, text string) (n int64) {
	t.Helper()
	_, err := fmt.Sscan(text, &n)
	require.NoError(t, err)
	return n
}

// What one client uses is bounded, and so is what is remembered of all.
func TestOnceIsBounded(t *testing.T) {
	clock := newClock()
	c := backend{}.node(t, Config{Clock: clock.Now})
	until := clock.Now().Add(time.Minute)
	for i := range maxOnceEach {
		require.Equal(t, UseFirst, c.use(t, "sa_1", fmt.Sprint(i), until))
	}
	require.Equal(t, UseTooMany, c.use(t, "sa_1", "more", until))
	require.Equal(t, UseAgain, c.use(t, "sa_1", "0", until), "what was used is still known")
	require.Equal(t, UseFirst, c.use(t, "sa_2", "more", until))
	c.Forget(UseID("sa_1", "0"))
	require.Equal(t, UseFirst, c.use(t, "sa_1", "more", until))
	clock.Advance(time.Minute)
	require.Equal(t, UseFirst, c.use(t, "sa_1", "0", clock.Now().Add(time.Minute)))
	require.Len(t, c.once.byID, 1, "what is over is forgotten")
	require.Len(t, c.once.each, 1)

	until = clock.Now().Add(time.Minute)
	for i := range maxOnce * 99 / 100 {
		require.Equal(t, UseFirst, c.use(t, fmt.Sprint("sa_", i%100), fmt.Sprint("more", i), until))
	}
	for i := 0; c.use(t, "sa_1", fmt.Sprint("last", i), until) != UseNoRoom; i++ {
		require.Less(t, i, maxOnce/100)
	}
	require.Equal(t, UseNoRoom, c.use(t, "sa_1", "no room", until))
	require.Equal(t, UseNoRoom, c.use(t, "sa_1", "no room", until), "and so each time: the database knows")
	require.Equal(t, UseFirst, c.use(t, "sa_new", "of another client", until))

	// When there is room again, what is not remembered may be what there was
	// none for, for as long as that is not over.
	later := clock.Now().Add(5 * time.Minute)
	require.Equal(t, UseNoRoom, c.use(t, "sa_1", "no room, and long", later))
	clock.Advance(time.Minute)
	require.Equal(t, UseUnknown, c.use(t, "sa_1", "no room, and long", later))
	require.Equal(t, UseAgain, c.use(t, "sa_1", "no room, and long", later), "there is room by now")
	require.Equal(t, UseUnknown, c.use(t, "sa_1", "another", later))
	require.Equal(t, UseFirst, c.use(t, "sa_2", "of another client", later))
	clock.Advance(4 * time.Minute)
	require.Equal(t, UseFirst, c.use(t, "sa_1", "a third", clock.Now().Add(time.Minute)))
}

// Without Redis the outcome is this process's own, and the error says so.
func TestOnceWithoutRedis(t *testing.T) {
	redis := redistest.Start(t)
	b := backend{url: redis.URL()}
	c := b.node(t, Config{})
	until := time.Now().Add(time.Minute)
	require.Equal(t, UseFirst, c.use(t, "sa_1", "a", until))
	redis.Kill()
	use, err := c.ask(t, "sa_1", "b", until)
	require.ErrorIs(t, err, ErrUnavailable)
	require.Equal(t, UseFirst, use)
	require.Equal(t, UseAgain, c.use(t, "sa_1", "b", until))
	require.Equal(t, UseAgain, c.use(t, "sa_1", "a", until))

	keyless := b.node(t, Config{Key: func() []byte { return nil }})
	use, err = keyless.ask(t, "sa_1", "c", until)
	require.ErrorIs(t, err, ErrUnavailable)
	require.Equal(t, UseFirst, use)
}

// Whoever uses all that it gets is the only one whose uses are asked for in the
// database: other clients of the organization, and other organizations, are
// remembered all the while, though some do so.
func TestOnceIsShared(t *testing.T) {
	clock := newClock()
	c := backend{}.node(t, Config{Clock: clock.Now})
	until := clock.Now().Add(time.Minute)
	take := func(org string, client, n int) Use {
		owner := Owner{Client: fmt.Sprint(org, " ", client), Org: org}
		return c.OnceHere(owner, UseID(owner.Client, fmt.Sprint(n)), until)
	}
	flood := func(org string, client int) (found map[Use]int) {
		found = map[Use]int{}
		for n := range maxOnceEach {
			found[take(org, client, n)]++
		}
		return found
	}
	remembered := func(org string, client, n int) {
		t.Helper()
		for i := range n {
			require.Equal(t, UseFirst, take(org, client, i), i)
			require.Equal(t, UseAgain, take(org, client, i), i)
		}
	}
	require.Equal(t, map[Use]int{UseFirst: maxOnceEach}, flood("a", 0), "a client alone gets what it may have")
	require.Equal(t, UseTooMany, take("a", 0, maxOnceEach))
	require.Positive(t, flood("a", 1)[UseNoRoom])
	remembered("a", 2, 1000)
	require.Positive(t, flood("a", 2)[UseNoRoom])
	remembered("a", 3, 100)
	require.Equal(t, UseAgain, take("a", 0, 0), "what there was room for is known")
	remembered("b", 0, 1000)
	for org := range 6 {
		for client := range 4 {
			flood(fmt.Sprint("more", org), client)
		}
	}
	require.Greater(t, c.once.of.Used(), (maxOnce-onceBound.Reserved)*8/10)
	remembered("c", 0, 1000)
	require.Equal(t, UseFirst, c.use(t, "sa_1", "a", until), "the operator's own")
	require.Equal(t, UseAgain, take("b", 0, 0))
	clock.Advance(time.Minute)
	until = until.Add(time.Minute)
	require.Equal(t, UseFirst, take("a", 1, 0))
	require.Equal(t, UseFirst, take("c", 0, 0))
	require.Equal(t, 2, c.once.of.Used())
}

// Of an organization in which many clients had no room, and of all if there are
// many such organizations, nothing is known for certain for a while.
func TestDoubtsAreBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	d := doubts{of: map[string]*doubt{}}
	of := func(org, client int) Owner { return Owner{Org: fmt.Sprint(org), Client: fmt.Sprint(org, " ", client)} }
	for client := range maxUnsureEach {
		d.add(of(0, client), now.Add(time.Minute), now)
	}
	require.True(t, d.about(of(0, 1), now))
	require.False(t, d.about(of(0, maxUnsureEach), now))
	d.add(of(0, maxUnsureEach+1), now.Add(2*time.Minute), now)
	require.True(t, d.about(of(0, maxUnsureEach), now))
	require.True(t, d.about(of(0, maxUnsureEach), now.Add(time.Minute)))
	for org := 1; org < maxUnsure; org++ {
		d.add(of(org, 1), now.Add(time.Minute), now)
	}
	later := now.Add(90 * time.Second)
	d.add(of(maxUnsure, 1), later.Add(time.Minute), later)
	require.Len(t, d.of, 2, "what is over is forgotten")
	require.True(t, d.about(of(0, 5), later))
	require.False(t, d.about(of(1, 1), later))
	for org := range maxUnsure {
		d.add(of(org, 1), later.Add(time.Minute), later)
	}
	require.Len(t, d.of, maxUnsure)
	require.True(t, d.about(of(maxUnsure+1, 1), later))
	require.False(t, d.about(of(maxUnsure+1, 1), later.Add(time.Minute)))
}

// A node whose clock is ahead has a use forgotten no sooner than one whose
// clock is behind would refuse it for its age.
func TestOnceAmongNodesWhoseClocksDiffer(t *testing.T) {
	url, clock := redistest.Start(t).URL(), newClock()
	ahead := backend{url: url}.node(t, Config{Prefix: "once:", Clock: func() time.Time {
		return clock.Now().Add(5 * time.Second)
	}})
	behind := backend{url: url}.node(t, Config{Prefix: "once:", Clock: clock.Now})
	until := clock.Now().Add(5*time.Second + time.Millisecond)
	require.Equal(t, UseFirst, ahead.use(t, "sa_1", "jti", until))
	time.Sleep(50 * time.Millisecond)
	require.Equal(t, UseAgain, behind.use(t, "sa_1", "jti", until))
}

// A clock that is set ahead and back makes nothing forgotten that could still be
// used.
func TestAClockThatWasAheadMakesNothingForgotten(t *testing.T) {
	clock, passed := newClock(), time.Duration(0)
	c := backend{}.node(t, Config{Clock: clock.Now})
	c.once.passed = func(time.Time) time.Duration { return passed }
	until := clock.Now().Add(4 * time.Minute)
	require.Equal(t, UseFirst, c.use(t, "sa_1", "a", until))
	clock.Advance(10 * time.Minute)
	require.Equal(t, UseFirst, c.use(t, "sa_1", "b", clock.Now().Add(time.Second)))
	clock.Advance(-10 * time.Minute)
	require.Equal(t, UseAgain, c.use(t, "sa_1", "a", until))
	clock.Advance(15 * time.Minute)
	passed = 4 * time.Minute
	require.Equal(t, UseFirst, c.use(t, "sa_1", "c", clock.Now().Add(time.Minute)))
	require.Len(t, c.once.byID, 1, "the clock has stayed there")
}
