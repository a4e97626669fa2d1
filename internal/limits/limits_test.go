package limits

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSharesKeepRoomForOthers(t *testing.T) {
	s := NewShares[string](Bound{Total: 10, Each: 3, Reserved: 4})
	require.True(t, s.Take("a", 3, false))
	assert.False(t, s.Take("a", 1, false), "a has its share")
	assert.True(t, s.Take("b", 3, false))
	assert.False(t, s.Take("c", 1, false), "the rest is reserved")
	assert.True(t, s.Take("operator", 4, true), "a privileged caller has all of it")
	assert.False(t, s.Take("operator", 1, true), "and no more")
	s.Give("a", 3)
	assert.Equal(t, 7, s.Used())
	assert.False(t, s.Take("c", 1, false), "still within the reserved part")
	s.Give("operator", 4)
	assert.True(t, s.Take("c", 3, false))
	s.Give("b", 3)
	s.Give("c", 3)
	assert.Zero(t, s.Used())
	assert.Empty(t, s.held, "a key without units is forgotten")
}

func TestRatesBoundEachKey(t *testing.T) {
	now := time.Unix(0, 0)
	r := NewRates[string](Rate{PerSecond: 2, Burst: 3}, 2)
	for range 3 {
		require.Zero(t, r.Allow("a", now))
	}
	assert.Equal(t, 500*time.Millisecond, r.Allow("a", now))
	assert.Equal(t, 500*time.Millisecond, r.Allow("a", now), "a refusal costs nothing")
	assert.Zero(t, r.Allow("b", now), "another key has its own")
	for range 3 {
		require.Zero(t, r.Allow("c", now))
	}
	assert.NotZero(t, r.Allow("d", now), "keys beyond the bound share one allowance")
	later := now.Add(time.Minute)
	assert.Zero(t, r.Allow("e", later), "keys at rest give way")
	assert.LessOrEqual(t, len(r.byKey), 2)
}

func TestSlotsServePrivilegedCallersFirst(t *testing.T) {
	for total, kept := range map[int]int{1: 0, 2: 1, 4: 2} {
		s := NewSlots[string](total, kept)
		for range total - kept {
			require.NoError(t, s.Take(t.Context(), "a", false))
		}
		soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		assert.ErrorIs(t, s.Take(soon, "b", false), context.DeadlineExceeded, "the rest is kept")
		cancel()
		for range kept {
			require.NoError(t, s.Take(t.Context(), "operator", true))
		}
		order := make(chan string, 2)
		s.wait(t, "other", false, order)
		s.wait(t, "privileged", true, order)
		s.Give()
		assert.Equal(t, "privileged", <-order, "of %d", total)
		for range total {
			s.Give()
		}
		assert.Equal(t, "other", <-order)
		s.Give()
		assert.Equal(t, total, s.free, "all of them are back")
		assert.Empty(t, s.rest.byKey)
		assert.Empty(t, s.rest.order)
	}
}

func TestSlotsServeKeysInTurn(t *testing.T) {
	s := NewSlots[string](1, 0)
	require.NoError(t, s.Take(t.Context(), "a", false))
	order := make(chan string, 10)
	for _, key := range []string{"a", "a", "a", "b", "b", "c"} {
		s.wait(t, key, false, order)
	}
	gone, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- s.Take(gone, "d", false) }()
	require.Eventually(t, func() bool { return s.waiting() == 7 }, time.Minute, time.Millisecond)
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	var came []string
	for range 6 {
		s.Give()
		came = append(came, <-order)
	}
	assert.Equal(t, []string{"a", "b", "c", "a", "b", "a"}, came)
}

// No turn comes to a place that nobody needs any more, and one that came at the
// same moment is somebody else's.
func TestSlotsPassOverWhoHasWithdrawn(t *testing.T) {
	s := NewSlots[string](1, 0)
	require.NoError(t, s.Take(t.Context(), "a", false))
	needless, next, late := s.Queue("b", false), s.Queue("b", false), s.Queue("c", false)
	s.Withdraw([]*Waiter[string]{needless})
	s.Give()
	require.True(t, next.come())
	require.False(t, needless.come())
	s.Give()
	require.True(t, late.come())
	s.Withdraw([]*Waiter[string]{late, needless})
	s.Leave(needless)
	require.Zero(t, s.free)
	s.Leave(late)
	require.Equal(t, 1, s.free)
	require.Empty(t, s.rest.byKey)
	require.Empty(t, s.rest.order)
}

// wait has somebody wait for a slot who tells order when it has one.
func (s *Slots[K]) wait(t *testing.T, key K, privileged bool, order chan<- K) {
	before := s.waiting()
	go func() {
		if s.Take(t.Context(), key, privileged) == nil {
			order <- key
		}
	}()
	require.Eventually(t, func() bool { return s.waiting() == before+1 }, time.Minute, time.Millisecond)
}

func (s *Slots[K]) waiting() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range []queues[K]{s.first, s.rest} {
		for _, turns := range q.byKey {
			n += len(turns)
		}
	}
	return n
}
