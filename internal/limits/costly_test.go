package limits

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// busy takes all slots of a Costly until free is called.
func busy(t *testing.T, c *Costly) (free func()) {
	var taken, done sync.WaitGroup
	release := make(chan struct{})
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		taken.Add(1)
		done.Go(func() {
			_ = c.Run(t.Context(), "busy", func() bool { taken.Done(); <-release; return true })
		})
	}
	taken.Wait()
	return func() { close(release); done.Wait() }
}

func (c *Costly) awaitWaiting(t *testing.T, n int) {
	t.Helper()
	for c.waiting.Used() < n+max(1, runtime.GOMAXPROCS(0)/2) {
		require.NoError(t, t.Context().Err())
		runtime.Gosched()
	}
}

func TestCostlyIsDoneByHalfTheProcessors(t *testing.T) {
	c := NewCostly()
	var now, most atomic.Int64
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			err := c.Run(t.Context(), "a", func() bool {
				at := now.Add(1)
				for {
					before := most.Load()
					if at <= before || most.CompareAndSwap(before, at) {
						break
					}
				}
				runtime.Gosched()
				now.Add(-1)
				return at%2 == 0 // those in vain rest, and pass their slot on all the same
			})
			require.NoError(t, err)
		})
	}
	group.Wait()
	require.LessOrEqual(t, most.Load(), int64(max(1, runtime.GOMAXPROCS(0)/2)))
}

func TestCostlyIsDoneInTurn(t *testing.T) {
	c := NewCostly()
	free := busy(t, c)
	var mu sync.Mutex
	var order []string
	var group sync.WaitGroup
	wait := func(key string, n int) {
		group.Go(func() {
			require.NoError(t, c.Run(t.Context(), key, func() bool {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, key)
				return true
			}))
		})
		c.awaitWaiting(t, n)
	}
	for n := range maxCostlyOf {
		wait("flood", n+1)
	}
	require.ErrorIs(t, c.Run(t.Context(), "flood", func() bool { panic("there is no room") }), ErrCrowded)
	wait("one", maxCostlyOf+1)
	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, c.Run(ended, "gone", func() bool { panic("its caller is gone") }), context.Canceled)
	free()
	group.Wait()
	require.Contains(t, order[:2+runtime.GOMAXPROCS(0)], "one", "others have their turn before a flood")
	require.Len(t, order, maxCostlyOf+1)
	require.Zero(t, c.waiting.Used())
}
