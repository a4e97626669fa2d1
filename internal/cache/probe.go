package cache

import (
	"context"
	"strconv"
	"sync"
	"time"
)

const (
	probeEvery = time.Second
	probeKeys  = 16 // in as many slots of a cluster, one after another
	probeFor   = 10 * time.Second
	probeHolds = 100 * time.Millisecond // how long a result holds, since strangers can ask at any rate
)

// probe sends the commands of the work, on keys of its own, so that a node
// without work knows whether Redis would take them. A PING proves less: with an
// ACL, a full memory or a replica, Redis answers it and refuses the rest.
type probe struct {
	*remote
	prefix string
	last   time.Time // of run

	mu     sync.Mutex // held while one is under way, whose result others share
	turn   int
	ended  time.Time
	result error
}

// run asks every probeEvery. One goroutine calls it.
func (p *probe) run(ctx context.Context) {
	if now := time.Now(); now.Sub(p.last) >= probeEvery {
		p.last = now
		_ = p.ask(ctx) // health has the result
	}
}

// ask sends each command that the work sends and returns the first error. It
// leaves nothing behind but one short hash, for ten seconds: XX changes only
// what is there, and nothing is.
func (p *probe) ask(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.ended) >= probeHolds {
		p.turn = (p.turn + 1) % probeKeys
		p.result = p.send(context.WithoutCancel(ctx), p.prefix+"{probe"+strconv.Itoa(p.turn)+"}:")
		p.ended = time.Now()
	}
	return p.result
}

func (p *probe) send(ctx context.Context, at string) error {
	return p.do(ctx, func(ctx context.Context) error {
		pipe := p.client.Pipeline()
		pipe.SetXX(ctx, at+"token", "", probeFor)
		pipe.Do(ctx, "zadd", at+"tokens", "XX", 0, "0")
		pipe.ZRemRangeByRank(ctx, at+"tokens", 0, 0)
		pipe.ZRem(ctx, at+"tokens", "0")
		pipe.HSet(ctx, at+"wrong", "0", "")
		pipe.PExpire(ctx, at+"wrong", probeFor)
		pipe.PTTL(ctx, at+"wrong")
		pipe.HScan(ctx, at+"wrong", 0, "", 1)
		pipe.GetRange(ctx, at+"token", 0, 0)
		pipe.ZRevRange(ctx, at+"tokens", 0, 0)
		// Nobody takes an empty message for one of ours.
		for _, channel := range []Channel{ChannelChanges, ChannelReceipts} {
			publish(ctx, pipe, p.prefix+string(channel), nil)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
}
