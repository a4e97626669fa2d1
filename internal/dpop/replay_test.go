package dpop

import (
	"encoding/binary"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// used is a proof that is used when it is made.
func used(n int, now time.Time) Use {
	u := Use{Earliest: now.Add(-maxAhead), Until: now.Add(maxAge), Now: now}
	binary.LittleEndian.PutUint64(u.ID[:], uint64(n))
	return u
}

func TestMemoryOfMany(t *testing.T) {
	m := NewMemory(800)
	now := time.Unix(1_800_000_000, 0)
	n := 0
	// 20 a second are too many to remember each for as long as it could be used
	// again; each passes once all the same, since its maker's clock is right.
	for range 300 {
		for range 20 {
			n++
			require.Equal(t, First, m.Use(t.Context(), used(n, now)))
			require.Equal(t, Again, m.Use(t.Context(), used(n, now)))
		}
		now = now.Add(time.Second)
	}
	require.LessOrEqual(t, len(m.used), 800)
	// What may be forgotten passes no more.
	old := now.Add(-50 * time.Second)
	again := used(n-50*20, old)
	again.Now = now
	require.Equal(t, Unknown, m.Use(t.Context(), again))
	// When fewer come again, older ones are taken again, each once.
	now = now.Add(2 * remembered)
	late := used(-1, now.Add(-maxAge))
	late.Now = now
	require.Equal(t, First, m.Use(t.Context(), late))
	require.Equal(t, Again, m.Use(t.Context(), late))
}

// Nothing is forgotten because the clock was set back.
func TestMemoryAndTheClock(t *testing.T) {
	m := NewMemory(800)
	now := time.Unix(1_800_000_000, 0)
	require.Equal(t, First, m.Use(t.Context(), used(1, now)))
	back := now.Add(-time.Hour)
	for i := range 60 {
		require.Equal(t, First, m.Use(t.Context(), used(100+i, back)))
		again := used(1, now)
		again.Now = back
		require.Equal(t, Again, m.Use(t.Context(), again))
		back = back.Add(time.Second)
	}
}

// Uses that come in another order than the clock was read in are no clock that
// is set back: nothing is over sooner by them.
func TestMemoryAndUsesOutOfOrder(t *testing.T) {
	m := NewMemory(8000)
	now := time.Unix(1_800_000_000, 0)
	one := usedBy("b", 0, now)
	require.Equal(t, First, m.Use(t.Context(), one))
	for n := range 1000 {
		require.Equal(t, First, m.Use(t.Context(), usedBy("flood", 2*n+1, now.Add(200*time.Millisecond))))
		require.Equal(t, First, m.Use(t.Context(), usedBy("flood", 2*n+2, now)))
	}
	one.Now = now.Add(time.Second)
	require.Equal(t, Again, m.Use(t.Context(), one))
}

// A proof that has waited since it was checked is not the first when others may
// have used it and it may be forgotten.
func TestMemoryAndAProofThatHasWaited(t *testing.T) {
	m := NewMemory(800)
	now := time.Unix(1_800_000_000, 0)
	one := used(0, now)
	require.Equal(t, First, m.Use(t.Context(), one))
	one.Now = one.Until.Add(remembered)
	require.Equal(t, Unknown, m.Use(t.Context(), one))
}

// Of all who use the same at once, one is the first.
func TestMemoryAtOnce(t *testing.T) {
	m := NewMemory(1000)
	now := time.Now()
	for n := range 50 {
		var first atomic.Int64
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				if m.Use(t.Context(), used(n, now)) == First {
					first.Add(1)
				}
			})
		}
		wait.Wait()
		require.EqualValues(t, 1, first.Load())
	}
}

// usedBy is used by an owner.
func usedBy(owner string, n int, now time.Time) Use {
	u := used(n, now)
	u.Owner = owner
	return u
}

// An organization that uses more than there is room for shortens its own time
// alone: the proofs of others are taken as late as ever, each once, and so they
// are of many others at once.
func TestMemoryIsShared(t *testing.T) {
	m := NewMemory(800)
	now := time.Unix(1_800_000_000, 0)
	n := 0
	next := func(owner string, made time.Time) Use {
		n++
		u := usedBy(owner, n, made)
		u.Now = now
		return u
	}
	var others []Use
	for second := range 300 {
		for range 200 { // so many that nobody's share would reach back for as long as clocks may differ
			require.NotEqual(t, Again, m.Use(t.Context(), next("flood", now)))
		}
		if second%10 == 0 {
			for _, owner := range []string{"b", "c", "d"} {
				late := next(owner, now.Add(-maxAge)) // its clock is behind
				require.Equal(t, First, m.Use(t.Context(), late), "second %d", second)
				others = append(others, late)
			}
		}
		for _, u := range others {
			if u.Now = now; u.Until.Add(remembered - maxAge - maxAhead).After(now) {
				require.Equal(t, Again, m.Use(t.Context(), u), "second %d", second)
			}
		}
		now = now.Add(time.Second)
	}
	require.LessOrEqual(t, len(m.used), 800)
	require.Equal(t, Unknown, m.Use(t.Context(), next("flood", now.Add(-20*time.Second))))
	now = now.Add(2 * remembered)
	for range 800 {
		require.Equal(t, First, m.Use(t.Context(), next("e", now)))
	}
	require.Equal(t, First, m.Use(t.Context(), next("e", now)))
	require.LessOrEqual(t, len(m.used), 800)
}

// So many organizations as no memory has shares for pass, too, and none twice.
func TestMemoryOfManyOwners(t *testing.T) {
	m := NewMemory(4 * maxOwners)
	now := time.Unix(1_800_000_000, 0)
	for round := range 3 {
		var all []Use
		for i := range 2 * maxOwners {
			all = append(all, usedBy(strconv.Itoa(i), 2*maxOwners*round+i, now))
			require.Equal(t, First, m.Use(t.Context(), all[i]))
		}
		now = now.Add(5 * time.Second)
		for _, u := range all {
			u.Now = now
			require.Equal(t, Again, m.Use(t.Context(), u))
		}
		require.LessOrEqual(t, len(m.shares), maxOwners+1)
		now = now.Add(2 * remembered)
	}
}

// A share of its own does not make an owner new again.
func TestMemoryForgetsNobodysWithAShare(t *testing.T) {
	m := NewMemory(16)
	now := time.Unix(1_800_000_000, 0)
	for i := range maxOwners {
		m.shares["idle "+strconv.Itoa(i)] = &share{since: now.UnixMilli()}
	}
	for i := range 32 {
		u := usedBy("x", i, now.Add(time.Duration(i)*time.Second))
		require.Equal(t, First, m.Use(t.Context(), u))
	}
	now = now.Add(32 * time.Second)
	delete(m.shares, "idle 0")
	delete(m.shares, "idle 1")
	old := usedBy("x", 5, now.Add(-27*time.Second))
	old.Now = now
	require.Equal(t, Unknown, m.Use(t.Context(), old))
}
