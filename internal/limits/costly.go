package limits

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// ErrCrowded is the error of [Costly.Run] if too many wait already.
var ErrCrowded = errors.New("too many such checks are waiting for a processor")

// How many may wait for [Costly], in all and of one key. Each is a request, of
// some ten kilobytes.
const (
	maxCostly   = 1024
	maxCostlyOf = 256
)

// Costly has at most half the processors, at least one, do what anybody can ask
// for and what costs many times as much as all else that is done for a request.
// The other half is left to the others. It is safe for concurrent use.
type Costly struct {
	slots   *Slots[string]
	waiting *Shares[string]
}

// NewCostly returns a Costly. A process has one.
func NewCostly() *Costly {
	return &Costly{NewSlots[string](max(1, runtime.GOMAXPROCS(0)/2), 0),
		NewShares[string](Bound{Total: maxCostly, Each: maxCostlyOf})}
}

// Run calls check when it is its turn: one of each key after the other. If
// check reports that it was in vain, the slot rests for as long as it took: with
// nothing but that, half of the time is left. While it waits, the request of ctx
// has no place among those in work. The error is [ErrCrowded] or that of ctx.
func (c *Costly) Run(ctx context.Context, key string, check func() (right bool)) error {
	if !c.waiting.Take(key, 1, false) {
		return ErrCrowded
	}
	defer c.waiting.Give(key, 1)
	if err := c.turn(ctx, key); err != nil {
		return err
	}
	began := time.Now()
	if check() {
		c.slots.Give()
	} else {
		time.AfterFunc(time.Since(began), c.slots.Give)
	}
	return nil
}

func (c *Costly) turn(ctx context.Context, key string) error {
	place := c.slots.Queue(key, false)
	select {
	case <-place.Turn:
		return nil
	default:
	}
	Release(ctx)
	select {
	case <-place.Turn:
		return nil
	case <-ctx.Done():
		c.slots.Leave(place)
		return ctx.Err()
	}
}
