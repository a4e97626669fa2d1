package dpop

import (
	"encoding/binary"
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
	m := NewMemory(800) // 100 a part
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
	held := 0
	for _, p := range m.parts {
		held += len(p.used)
	}
	require.LessOrEqual(t, held, 800)
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
