package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How much the heap may grow between two collections: as much as lives, as Go has it, and headroom. A node with few clients keeps little, and would
// otherwise collect a hundred times a second under load, for a fifth of its processor time. One that keeps much is not given more.
const (
	headroom         = 64 << 20
	maxCollectorRate = 400
)

// collector paces the garbage collector by what lives. An operator's GOGC wins, and GOMEMLIMIT holds in any case.
type collector struct {
	percent int // as it is set; 0: not yet
}

func (c *collector) pace() {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	live := int64(1)
	if sample[0].Value.Kind() == metrics.KindUint64 {
		live = max(live, int64(sample[0].Value.Uint64()))
	}
	percent := int(min(maxCollectorRate, 100+headroom*100/live))
	if percent > c.percent+10 || percent < c.percent-10 { // to set it stops the world for a moment
		debug.SetGCPercent(percent)
		c.percent = percent
	}
}

// collect keeps the pace until ctx ends. It sets it anew after each collection: 10,000 connections come within a second, and the pace that was right for a small heap
// would let it grow to five times what they need.
func (a *App) collect(ctx context.Context) error {
	var heap collector
	for signs := collected(ctx); ; {
		heap.pace()
		select {
		case <-ctx.Done():
			return nil
		case <-signs:
		}
	}
}

// collected gives a channel that gets a sign after a collection, until ctx ends. Who is slow to take it misses some.
func collected(ctx context.Context) <-chan struct{} {
	signs := make(chan struct{}, 1)
	var arm func()
	arm = func() {
		runtime.AddCleanup(new([64]byte), func(struct{}) { // nothing refers to it: the next collection finds it
			select {
			case signs <- struct{}{}:
			default:
			}
			if ctx.Err() == nil {
				arm()
			}
		}, struct{}{})
	}
	arm()
	return signs
}
