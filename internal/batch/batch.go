// Package batch makes one call for many callers: of all that come while a call
// is at work, the next call takes as many as it may. Who comes alone is served
// at once, and the busier it is, the less each costs.
package batch

import (
	"context"
	"runtime"
	"sync"
)

// Caller makes the calls. Its fields are to be set before the first
// [Caller.Do]. One call is at work at a time.
type Caller[T any] struct {
	// Call serves items, between one and Max of them. It bounds its own time:
	// its ctx has the values of one of the callers and never ends.
	Call func(ctx context.Context, items []T)
	Max  int

	mu      sync.Mutex
	waiting []entry[T]
	working bool
}

type entry[T any] struct {
	item T
	done chan struct{}
}

// lets is how often a call lets others run before it begins: a request that
// runs asks within two turns.
const lets = 2

// Do returns once a call has served item. If ctx ends sooner it returns the
// error of ctx, and the item may be at work still.
func (c *Caller[T]) Do(ctx context.Context, item T) error {
	done := make(chan struct{})
	c.mu.Lock()
	c.waiting = append(c.waiting, entry[T]{item, done})
	leads := !c.working
	c.working = true
	c.mu.Unlock()
	if leads {
		go c.work(context.WithoutCancel(ctx))
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// work makes calls until nobody waits.
func (c *Caller[T]) work(ctx context.Context) {
	for {
		// Who is about to ask comes along: the fewer calls, the less each item
		// costs. Where nobody else is at work this takes no time.
		for range lets {
			runtime.Gosched()
		}
		taken := c.take()
		if taken == nil {
			return
		}
		items := make([]T, len(taken))
		for i, e := range taken {
			items[i] = e.item
		}
		c.Call(ctx, items)
		for _, e := range taken {
			close(e.done)
		}
	}
}

func (c *Caller[T]) take() []entry[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), c.Max)
	if n == 0 {
		c.waiting, c.working = nil, false
		return nil
	}
	taken := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	return taken
}
