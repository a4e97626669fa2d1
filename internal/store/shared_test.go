package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/limits"
)

// shared is a read of which the answers are counted, on a store with one
// connection for requests.
type shared struct {
	*Shared[string, int64]
	t     *testing.T
	reads atomic.Int64
	asked sync.WaitGroup
}

func newShared(t *testing.T) *shared {
	t.Helper()
	s, err := Open(Config{URL: withSchema.SQLite(t), MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return &shared{Shared: NewShared[string, int64](s), t: t}
}

// read asks the database, which it must not wait for, and counts.
func (s *shared) read(ctx context.Context) (int64, error) {
	if _, err := s.store.Read().LastChange(ctx); err != nil {
		return 0, err
	}
	return s.reads.Add(1), ctx.Err()
}

// ask has a request of a network ask for a key, and returns when it waits.
func (s *shared) ask(ctx context.Context, network, key string, answer func(int64, error)) {
	s.t.Helper()
	waits := s.store.inTurn.Waits()
	s.asked.Go(func() { answer(s.Do(limits.WithPlace(ctx, stranger{network, true}), key, s.read)) })
	require.Eventually(s.t, func() bool { return s.store.inTurn.Waits() > waits }, time.Minute, time.Millisecond)
}

// All who ask at once share one read, which whoever comes first does; the
// others leave the queue. Whoever asks when it has begun gets the next one.
func TestSharedReadIsDoneOnce(t *testing.T) {
	s := newShared(t)
	require.NoError(t, s.store.inTurn.Take(t.Context(), "busy", false))
	got := make(chan int64, 10)
	answer := func(n int64, err error) {
		require.NoError(t, err)
		got <- n
	}
	gone, hangUp := context.WithCancel(t.Context())
	s.ask(gone, "a", "key", func(_ int64, err error) { require.ErrorIs(t, err, ErrUnavailable) })
	hangUp()
	for i := range 10 {
		s.ask(t.Context(), fmt.Sprint(i%3), "key", answer)
	}
	s.store.inTurn.Give()
	s.asked.Wait()
	for range 10 {
		require.EqualValues(t, 1, <-got)
	}
	require.Empty(t, s.next)

	begun, end := make(chan struct{}), make(chan struct{})
	s.asked.Go(func() {
		answer(s.Do(limits.WithPlace(t.Context(), stranger{"a", true}), "key",
			func(ctx context.Context) (int64, error) {
				close(begun)
				<-end
				return s.read(ctx)
			}))
	})
	<-begun
	s.ask(t.Context(), "b", "key", answer)
	close(end)
	s.asked.Wait()
	require.ElementsMatch(t, []int64{2, 3}, []int64{<-got, <-got})
	require.Empty(t, s.next)
	require.NoError(t, s.store.inTurn.Take(t.Context(), "the connection is free again", false))
}

// A read goes on if the request that does it is given up, and nobody waits for
// ever for one that panics.
func TestSharedReadEnds(t *testing.T) {
	s := newShared(t)
	s.ends(func(hangUp func(), ctx context.Context) (int64, error) { hangUp(); return s.read(ctx) },
		func(n int64, err error) {
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
		})
	s.ends(func(func(), context.Context) (int64, error) { panic("a fault") }, func(_ int64, err error) {
		require.ErrorIs(t, err, errNotRead)
	})
	require.NoError(t, s.store.inTurn.Take(t.Context(), "the connection is free again", false))
}

// ends has one request read and another one wait for that.
func (s *shared) ends(read func(hangUp func(), ctx context.Context) (int64, error), answer func(int64, error)) {
	s.t.Helper()
	require.NoError(s.t, s.store.inTurn.Take(s.t.Context(), "busy", false))
	ctx, hangUp := context.WithCancel(s.t.Context())
	waits := s.store.inTurn.Waits()
	s.asked.Go(func() {
		defer func() { _ = recover() }()
		_, _ = s.Do(limits.WithPlace(ctx, stranger{"a", true}), "key",
			func(ctx context.Context) (int64, error) { return read(hangUp, ctx) })
	})
	require.Eventually(s.t, func() bool { return s.store.inTurn.Waits() > waits }, time.Minute, time.Millisecond)
	s.ask(s.t.Context(), "b", "key", answer)
	s.store.inTurn.Give()
	s.asked.Wait()
	require.Empty(s.t, s.next)
}
