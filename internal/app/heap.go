package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Between two collections the heap may grow by as much as lives, which is Go's
// default, and by headroom. A node with few clients keeps little, and would
// otherwise collect a hundred times a second under load. One that keeps much
// gets no more than headroom on top.
//
// No fixed percentage does as well. 100 took 5 % more processor time a token
// (1.32 times the bare handler's, where this took 1.25 on the same busy
// machine). 200 did not, but lets a node with 100,000 clients take three times
// what lives, which is more than sizing.md reckons for it.
//
// The rate has a bound, since what lives may grow many times over before it is
// set anew. A bound of 400 took 3 % more of a token with PostgreSQL and Redis
// (1.04 times the bare handler's, where this took 1.00; four runs each, in
// turn).
const (
	headroom         = 64 << 20
	maxCollectorRate = 1000
)

// A node is at rest if it has allocated less than restAllocs in restEvery, and
// keeps no more than headroom. It then returns at once what probes, scrapes and
// polling of the change log have filled: it is at 58 MB, where with a fixed 100
// and without this it was at 68 a minute later.
const (
	restEvery  = 10 * time.Second
	restAllocs = 8 << 20
)

// collector paces the garbage collector by what lives. An operator's GOGC wins,
// and GOMEMLIMIT holds in any case.
type collector struct {
	percent   int   // as it is set; 0 if not yet
	allocated int64 // bytes since the start, when rest last looked
}

func (c *collector) pace() {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := max(1, runtimeBytes("/gc/heap/live:bytes"))
	percent := int(min(maxCollectorRate, 100+headroom*100/live))
	if percent > c.percent+10 || percent < c.percent-10 { // setting it stops the world for a moment
		debug.SetGCPercent(percent)
		c.percent = percent
	}
}

// rest returns to the system what a node at rest does not need.
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
// 10,000 connections may come within a second, and the pace for a small heap
// would let it grow to five times what they need.
func (a *App) collect(ctx context.Context) error {
	var heap collector
	ticker := time.NewTicker(restEvery)
	defer ticker.Stop()
	for collections := afterCollections(ctx); ; {
		heap.pace()
		select {
		case <-ctx.Done():
			return nil
		case <-collections:
		case <-ticker.C:
			heap.rest()
		}
	}
}

// afterCollections returns a channel that receives after a collection, until
// ctx ends. A slow receiver misses some.
func afterCollections(ctx context.Context) <-chan struct{} {
	collections := make(chan struct{}, 1)
	var arm func()
	arm = func() {
		// Nothing refers to the object, so the next collection frees it.
		runtime.AddCleanup(new([64]byte), func(struct{}) {
			select {
			case collections <- struct{}{}:
			default:
			}
			if ctx.Err() == nil {
				arm()
			}
		}, struct{}{})
	}
	arm()
	return collections
}
