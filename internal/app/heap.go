package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much the heap may grow between two collections: as much as lives, as Go
// has it, and headroom. A node with few clients keeps little, and would
// otherwise collect a hundred times a second under load, for a fifth of its
// processor time. One that keeps much is not given more.
const (
	headroom         = 64 << 20
	maxCollectorRate = 400
)

// A node that has allocated less than restAllocs in restEvery, and keeps no
// more than headroom, is at rest: probes, scrapes and its own looking after the
// change log fill the room that it is given under load within minutes, and
// nothing would take that back.
const (
	restEvery  = 10 * time.Second
	restAllocs = 8 << 20
)

// collector paces the garbage collector by what lives. An operator's GOGC wins,
// and GOMEMLIMIT holds in any case.
type collector struct {
	percent   int   // as it is set; 0: not yet
	allocated int64 // bytes since the start, when rest last looked
}

func (c *collector) pace() {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := max(1, runtimeBytes("/gc/heap/live:bytes"))
	percent := int(min(maxCollectorRate, 100+headroom*100/live))
	if percent > c.percent+10 || percent < c.percent-10 { // to set it stops the world for a moment
		debug.SetGCPercent(percent)
		c.percent = percent
	}
}

// rest gives back what a node at rest does not need.
func (c *collector) rest() {
	all := runtimeBytes("/gc/heap/allocs:bytes")
	lately := all - c.allocated
	c.allocated = all
	if os.Getenv("GOGC") == "" && lately < restAllocs && runtimeBytes("/gc/heap/live:bytes") < headroom {
		debug.FreeOSMemory()
	}
}

func runtimeBytes(name string) int64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}

// collect keeps the pace until ctx ends. It sets it anew after each collection:
// 10,000 connections come within a second, and the pace that was right for a
// small heap would let it grow to five times what they need.
func (a *App) collect(ctx context.Context) error {
	var heap collector
	ticker := time.NewTicker(restEvery)
	defer ticker.Stop()
	for signs := collected(ctx); ; {
		heap.pace()
		select {
		case <-ctx.Done():
			return nil
		case <-signs:
		case <-ticker.C:
			heap.rest()
		}
	}
}

// collected gives a channel that gets a sign after a collection, until ctx
// ends. Who is slow to take it misses some.
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
