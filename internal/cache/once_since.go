package cache

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	rememberEvery = time.Second
	rememberFor   = 3 * time.Second
)

// remembering is since when Redis has every use that nodes have asked it about:
// the key <prefix>{once}:since, which each of them keeps alive. It lasts for a
// moment only, so that it is gone when Redis has lost its content, has come back
// with an old one, or was reached by nobody; then it begins anew, with another
// value. Each node knows for how long it has seen the same one, which is by
// nobody's clock. It is no secret, and who may write to Redis can delete the
// uses themselves.
//
// It does not notice the last moment that Redis, or a replica that takes over,
// has lost, what Redis evicts, and the loss of one part of a cluster; and it
// hears of a node that does not reach Redis within two seconds.
type remembering struct {
	*remote
	key   string
	clock func() time.Time
	last  time.Time // of keep
	// lacks is set once a node had to do without Redis, which may lack a use.
	lacks atomic.Bool

	mu    sync.Mutex
	value string
	seen  time.Time // when value was seen first
}

func newRemembering(at *remote, prefix string, clock func() time.Time) *remembering {
	return &remembering{remote: at, key: prefix + "{once}:since", clock: clock}
}

// keep keeps the key alive, if it is time to. One goroutine calls it.
func (r *remembering) keep(ctx context.Context) {
	if now := time.Now(); now.Sub(r.last) >= rememberEvery {
		r.last = now
		r.beat(ctx)
	}
}

func (r *remembering) beat(ctx context.Context) {
	lacks := r.lacks.Swap(false)
	err := r.do(ctx, func(ctx context.Context) error {
		pipe, anew := r.client.Pipeline(), rand.Text()
		if lacks {
			pipe.Set(ctx, r.key, anew, rememberFor)
		} else {
			pipe.SetNX(ctx, r.key, anew, rememberFor)
			pipe.PExpire(ctx, r.key, rememberFor)
		}
		there := pipe.GetRange(ctx, r.key, 0, -1)
		_, err := pipe.Exec(ctx)
		if err == nil {
			r.see(there.Val())
		}
		return err
	})
	if err != nil {
		r.lacks.Store(true)
	}
}

// see returns when this process has seen a value first.
func (r *remembering) see(value string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.value != value {
		r.value, r.seen = value, time.Now()
	}
	return r.seen
}

// since returns since when. The error is an [ErrUnavailable] if Redis does not
// say.
func (r *remembering) since(ctx context.Context) (since time.Time, err error) {
	var value string
	err = r.do(ctx, func(ctx context.Context) (err error) {
		value, err = r.client.GetRange(ctx, r.key, 0, -1).Result()
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	if value == "" {
		return time.Time{}, fmt.Errorf("%w: it has no %s, which nodes write each second", ErrUnavailable, r.key)
	}
	return r.clock().Add(-time.Since(r.see(value))), nil
}
