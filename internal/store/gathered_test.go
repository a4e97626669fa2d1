package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/limits"
)

// gathered is a read whose statements are counted, and wait until they may go
// on.
type gathered struct {
	*Gathered[string, string]
	t     *testing.T
	free  chan bool
	asked sync.WaitGroup

	counting sync.Mutex
	read     [][]string // the keys of each statement
}

func newGathered(t *testing.T) *gathered {
	t.Helper()
	s, err := Open(Config{URL: withSchema.SQLite(t)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	g := &gathered{t: t, free: make(chan bool)}
	g.Gathered = NewGathered(s, func(ctx context.Context, keys []string) ([]string, error) {
		g.counting.Lock()
		g.read = append(g.read, keys)
		g.counting.Unlock()
		<-g.free
		if slices.Contains(keys, "bad") {
			return nil, errors.New("bad")
		}
		_, err := s.Read().LastChange(ctx)
		all := make([]string, len(keys))
		for i, key := range keys {
			all[i] = key + "!"
		}
		return all, err
	})
	g.slow = time.Hour
	return g
}

func (g *gathered) statements() int {
	g.counting.Lock()
	defer g.counting.Unlock()
	return len(g.read)
}

func (g *gathered) waiting() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.next {
		n += r.waiting
	}
	return n
}

// ask has a request of a network ask for a key, and returns when it reads or
// waits.
func (g *gathered) ask(ctx context.Context, network, key string) {
	g.t.Helper()
	statements, waiting := g.statements(), g.waiting()
	g.asked.Go(func() {
		value, err := g.Do(limits.WithPlace(ctx, stranger{network, true}), key)
		switch {
		case ctx.Err() != nil:
		case key == "bad" && err == nil, key != "bad" && (err != nil || value != key+"!"):
			g.t.Errorf("%s: %q, %v", key, value, err)
		}
	})
	require.Eventually(g.t, func() bool {
		return g.statements() > statements || g.waiting() > waiting
	}, time.Minute, time.Millisecond)
}

// Who asks alone waits for nobody. Those who ask meanwhile are read together,
// each key once.
func TestWhatIsAskedForAtOnceIsReadTogether(t *testing.T) {
	g := newGathered(t)
	g.ask(t.Context(), "a", "1")
	g.ask(t.Context(), "b", "2")
	require.Equal(t, [][]string{{"1"}}, g.read)
	gone, hangUp := context.WithCancel(t.Context())
	g.ask(gone, "c", "nobody's")
	hangUp()
	require.Eventually(t, func() bool { return g.waiting() == 1 }, time.Minute, time.Millisecond)
	for i := range 20 {
		g.ask(t.Context(), fmt.Sprint("net", i%4), fmt.Sprint("key", i%10))
	}
	close(g.free)
	g.asked.Wait()
	require.Len(t, g.read, 2)
	require.Len(t, g.read[1], 11)
	require.Empty(t, g.next)

	g.free, g.usual = make(chan bool), 0
	g.ask(t.Context(), "a", "key1")
	g.ask(t.Context(), "a", "key1")
	close(g.free)
	g.asked.Wait()
	require.Len(t, g.read, 4, "a read that has begun is not joined")
}

// Where many ask, a statement waits until as many do as is usual, or for a
// moment. Where few do, or once they have become few, nobody waits.
func TestAStatementWaitsForAsManyAsUsual(t *testing.T) {
	g := newGathered(t)
	close(g.free)
	ask := func(from, to int) {
		for i := from; i < to; i++ {
			g.ask(t.Context(), fmt.Sprint("net", i), fmt.Sprint("key", i))
		}
	}
	g.wait, g.usual = time.Hour, manyGathered-1
	ask(0, 1)
	g.asked.Wait()
	require.Len(t, g.read, 1, "few are usual: at once")

	g.usual = 2 * manyGathered
	ask(0, 2*manyGathered-1)
	require.Len(t, g.read, 1, "not as many yet as is usual")
	gone, hangUp := context.WithCancel(t.Context())
	g.ask(gone, "a", "the last")
	g.asked.Wait()
	hangUp()
	require.Len(t, g.read, 2)
	require.Len(t, g.read[1], 2*manyGathered)

	gone, hangUp = context.WithCancel(t.Context())
	g.ask(gone, "a", "waits")
	require.Len(t, g.read, 2)
	hangUp()
	g.asked.Wait()
	require.Empty(t, g.next)

	g.wait = time.Millisecond
	for g.usual >= manyGathered {
		usual := g.usual
		ask(0, 1)
		g.asked.Wait()
		require.Equal(t, usual-1, g.usual, "a moment later it is read though nobody else has come")
	}
}

// A statement that is slow holds nobody up, as long as not too many are.
func TestASlowStatementHoldsNobodyUp(t *testing.T) {
	g := newGathered(t)
	g.slow = time.Millisecond
	for i := range slowGatherers {
		g.ask(t.Context(), "a", fmt.Sprint("key", i))
		require.Eventually(t, func() bool { return g.statements() == i+1 }, time.Minute, time.Millisecond)
	}
	for i := range 10 {
		g.ask(t.Context(), "a", fmt.Sprint("more", i))
	}
	require.Equal(t, slowGatherers, g.statements())
	close(g.free)
	g.asked.Wait()
	require.Zero(t, g.running)
	require.NoError(t, g.turns.Take(t.Context(), "each turn is free again", true))
	require.NoError(t, g.turns.Take(t.Context(), "each turn is free again", true))
}

// Somebody who asks for a key does not wait in the turn of a stranger who has
// asked for it before and stands in a crowd.
func TestAGatheredReadWaitsInNobodyElsesTurn(t *testing.T) {
	g := newGathered(t)
	g.ask(t.Context(), "stranger", "first")
	const crowd = 10 * maxGathered
	for i := range crowd {
		g.ask(t.Context(), "stranger", fmt.Sprint("crowd", i))
	}
	g.ask(t.Context(), "stranger", "right")
	g.ask(t.Context(), "right", "right")
	close(g.free)
	g.asked.Wait()
	at := slices.IndexFunc(g.read, func(keys []string) bool { return slices.Contains(keys, "right") })
	require.LessOrEqual(t, at, 2, "of %d statements", len(g.read))
	require.Greater(t, len(g.read), crowd/maxGathered)
}

// An error is everybody's whose read it was, a panic too, and a turn that ended
// so is free again.
func TestAGatheredReadEnds(t *testing.T) {
	g := newGathered(t)
	close(g.free)
	for range 3 * gatherers {
		g.ask(t.Context(), "a", "bad")
		g.asked.Wait()
	}
	g.Gathered.read = func(context.Context, []string) ([]string, error) { panic("a fault") }
	for range 3 * gatherers {
		require.Panics(t, func() { _, _ = g.Do(t.Context(), "key") })
	}
	require.Empty(t, g.next)
}
