package cache

import (
	"context"
	"fmt"
	"strconv"
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
// with an old one, or was reached by nobody; then it begins anew. It is no
// secret, and who may write to Redis can delete the uses themselves.
//
// It does not notice the last moment that Redis, or a replica that takes over,
// has lost, what Redis evicts, and the loss of one part of a cluster.
type remembering struct {
	*remote
	key   string
	clock func() time.Time
	last  time.Time // of keep
	// lacks is set once this node had to do without Redis, which may lack a use.
	lacks atomic.Bool
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
		pipe, now := r.client.Pipeline(), r.clock().UnixMilli()
		if lacks {
			pipe.Set(ctx, r.key, now, rememberFor)
		} else {
			pipe.SetNX(ctx, r.key, now, rememberFor)
			pipe.PExpire(ctx, r.key, rememberFor)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
	if err != nil {
		r.lacks.Store(true)
	}
}

// since returns since when. The error is an [ErrUnavailable] if Redis does not
// say.
func (r *remembering) since(ctx context.Context) (since time.Time, err error) {
	var text string
	err = r.do(ctx, func(ctx context.Context) (err error) {
		text, err = r.client.GetRange(ctx, r.key, 0, -1).Result()
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %s is %.40q; expected the milliseconds that a node has written there",
			ErrUnavailable, r.key, text)
	}
	return time.UnixMilli(ms), nil
}
