package store

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/limits"
)

// stranger is the place of a request from a network, with or without room to
// wait for the database.
type stranger struct {
	network string
	room    bool
}

func (s stranger) Release()               {}
func (s stranger) Await() bool            { return s.room }
func (s stranger) Caller() (string, bool) { return s.network, false }

// While the database answers nothing, requests are refused at once but for one
// now and then; one answer opens the door again.
func TestDoorIsShutWhileNothingIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d door
		call := func(took time.Duration, err error) {
			began := time.Now()
			time.Sleep(took)
			d.heard(began, time.Now(), err)
		}
		let := func() (n int) {
			for range 10 {
				if d.open(time.Now()) {
					n++
				}
			}
			return n
		}
		call(time.Millisecond, nil)
		for range 5 {
			call(time.Millisecond, ErrUnavailable)
		}
		require.Equal(t, 10, let(), "what says no at once takes nobody's time")
		for range shutAfter - 1 {
			call(5*time.Second, ErrUnavailable)
		}
		call(time.Millisecond, ErrNotFound)
		call(5*time.Second, ErrUnavailable)
		require.Equal(t, 10, let(), "it did answer between")
		for range shutAfter {
			call(5*time.Second, ErrUnavailable)
		}
		require.Equal(t, 1, let())
		time.Sleep(probeEvery)
		require.Equal(t, 1, let())
		call(time.Millisecond, nil)
		require.Equal(t, 10, let())
	})
}

// A database that is slow because many ask answers all the while.
func TestDoorStaysOpenWhileSomebodyIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d door
		for range 100 {
			now := time.Now()
			d.heard(now.Add(-time.Second), now, nil)
			for range 10 * shutAfter {
				d.heard(now.Add(-queryTimeout), now.Add(time.Second), ErrUnavailable)
			}
			time.Sleep(time.Second)
			require.True(t, d.open(time.Now()))
		}
	})
}

// A request without room is refused before the database hears of it. What is
// the server's own is not, whatever the door.
func TestRequestsAreAdmitted(t *testing.T) {
	var calls int
	s, err := Open(Config{URL: withSchema.SQLite(t),
		Observer: observed{called: func(string, error) { calls++ }}})
	require.NoError(t, err)
	defer s.Close()
	calls = 0
	tries := func(ctx context.Context) []error {
		write := func(do func(context.Context, func(*Q) error) error) error {
			return do(ctx, func(*Q) error { return nil })
		}
		_, err := s.Read().Credentials(ctx, "sa_x")
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return []error{s.Admit(ctx), err, write(s.Write), write(s.WriteAside)}
	}
	with, without := limits.WithPlace(t.Context(), stranger{"192.0.2.1", true}), limits.WithPlace(t.Context(),
		stranger{"192.0.2.1", false})
	for _, err := range tries(with) {
		require.NoError(t, err)
	}
	require.NotZero(t, calls)
	calls = 0
	for _, err := range tries(without) {
		require.ErrorIs(t, err, ErrCrowded)
		require.ErrorIs(t, err, ErrUnavailable)
	}
	s.door.shut, s.door.probeAt = true, time.Now().Add(time.Hour)
	for _, err := range tries(with) {
		require.ErrorIs(t, err, ErrCrowded)
	}
	require.Zero(t, calls)
	for _, ctx := range []context.Context{t.Context(), limits.Own(without)} {
		s.door.shut, s.door.probeAt = true, time.Now().Add(time.Hour)
		for _, err := range tries(ctx) {
			require.NoError(t, err)
		}
	}
}

// While the door is shut, whoever waits before its call is one of those that
// are let through now and then, too: else all who come would wait with it, each
// on a place of the requests in work.
func TestNobodyWaitsBehindAShutDoor(t *testing.T) {
	s := newShared(t)
	require.NoError(t, s.store.inTurn.Take(t.Context(), "busy", false))
	release, err := s.store.turns.take(t.Context(), Turn{})
	require.NoError(t, err)
	ctx, end := context.WithCancel(limits.WithPlace(t.Context(), stranger{"192.0.2.1", true}))
	defer s.asked.Wait()
	defer s.store.inTurn.Give()
	defer release()
	defer end()
	for name, wait := range map[string]func() error{
		"read":   func() error { _, err := s.Do(ctx, "key", s.read); return err },
		"change": func() error { return s.store.Write(ctx, func(*Q) error { return nil }) },
		"other":  func() error { return s.store.Admit(ctx) },
	} {
		s.store.door.shut, s.store.door.probeAt = true, time.Now()
		began, refused := time.Now(), atomic.Int64{}
		for range 10 {
			s.asked.Go(func() {
				if errors.Is(wait(), ErrCrowded) {
					refused.Add(1)
				}
			})
		}
		let := func() int64 { return 1 + int64(time.Since(began)/probeEvery) }
		require.Eventually(t, func() bool { return refused.Load() >= 10-let() }, time.Minute, time.Millisecond,
			"one waits: %s", name)
	}
}
