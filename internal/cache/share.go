package cache

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	readBackEvery = time.Second
	maxWatched    = 1024 // counters that are read back though nothing changed here
	maxNodes      = 64   // whose counts are added up
	countPurpose  = "count of wrong secrets"
)

// share holds, for each counter, a hash of node → count and the window's end,
// sealed: whoever else may write in Redis can take counts away, so that each
// node goes by its own, but can't make one up. A node asks about whom it has
// seen fail itself: whoever tries at many nodes gets one attempt more at each,
// not a limit at each.
type share struct {
	*remote
	*attempts
	sealer
	prefix  string
	node    string
	watched []*window
	readAt  time.Time
}

func newShare(r *remote, a *attempts, cfg Config) *share {
	return &share{remote: r, attempts: a, prefix: cfg.Prefix, sealer: sealer{cfg.Key}, node: rand.Text()[:16]}
}

// exchange is one counter on its way to Redis and back.
type exchange struct {
	*window
	key  string
	mine string // this node's own count, sealed
	set  *redis.IntCmd
	all  *redis.ScanCmd
	ttl  *redis.DurationCmd
}

func (s *share) flush(ctx context.Context) {
	for {
		batch := s.take()
		if len(batch) == 0 {
			return
		}
		err := s.do(ctx, func(ctx context.Context) error { return s.send(ctx, batch) })
		s.learn(batch)
		if err != nil || len(batch) < batchSize {
			return
		}
	}
}

// take collects the counters that changed, and now and then those that were looked at lately.
func (s *share) take() (batch []*exchange) {
	s.attempts.mu.Lock()
	defer s.attempts.mu.Unlock()
	if now := time.Now(); now.Sub(s.readAt) >= readBackEvery {
		s.readAt = now
		for _, w := range s.watched {
			if !w.waiting {
				w.waiting = true
				s.changed = append(s.changed, w)
			}
		}
		s.watched = s.watched[:0]
	}
	n := min(len(s.changed), batchSize)
	now := s.cfg.Clock()
	for _, w := range s.changed[:n] {
		w.waiting = false
		if w.ends.After(now) {
			x := &exchange{window: w, key: s.name(w)}
			x.mine, _ = s.seal(countPurpose, x.key+"/"+s.node, fmt.Sprintf("%d %d", w.here, w.ends.UnixMilli()))
			batch = append(batch, x)
		}
	}
	s.changed = append(s.changed[:0], s.changed[n:]...)
	return batch
}

// name is a digest: who failed from where is nobody's business who can read Redis.
func (s *share) name(w *window) string {
	who := w.addr.String()
	if w.ofPair {
		who += "\x00" + w.client
	}
	return s.prefix + "{" + base64.RawURLEncoding.EncodeToString(s.sum("wrong secrets", s.prefix, who)[:16]) + "}:wrong"
}

// send writes this node's counts and reads all nodes'.
func (s *share) send(ctx context.Context, batch []*exchange) error {
	pipe := s.client.Pipeline()
	for _, x := range batch {
		if x.mine != "" {
			x.set = pipe.HSet(ctx, x.key, s.node, x.mine)
			pipe.PExpire(ctx, x.key, s.cfg.Window)
		}
		x.all = pipe.HScan(ctx, x.key, 0, "", maxNodes) // where somebody has put in very many, a part of them
		x.ttl = pipe.PTTL(ctx, x.key)
	}
	cmds, err := pipe.Exec(ctx)
	repair := s.client.Pipeline()
	for _, x := range batch {
		if x.ttl.Err() != nil {
			continue
		}
		if x.ttl.Val() == -1 {
			repair.PExpire(ctx, x.key, s.cfg.Window) // ended in between; must not be kept for ever
		}
	}
	if repair.Len() > 0 {
		_, _ = repair.Exec(ctx)
	}
	return asWhole(cmds, err)
}

// learn takes over what the other nodes count. What could not be written goes
// with the next flush.
func (s *share) learn(batch []*exchange) {
	s.attempts.mu.Lock()
	defer s.attempts.mu.Unlock()
	for _, x := range batch {
		if x.all == nil || x.all.Err() != nil || x.set != nil && x.set.Err() != nil {
			s.again(x.window)
			continue
		}
		s.tally(x)
		if len(s.watched) < maxWatched {
			s.watched = append(s.watched, x.window)
		}
	}
}

// tally adds up what other nodes have sealed. The window that began first ends
// for all; a node that learns of it says so, lest its count outlive it.
func (s *share) tally(x *exchange) {
	now, others, ends := s.cfg.Clock(), 0, x.ends
	fields, _ := x.all.Val()
	for pair := range slices.Chunk(fields, 2) {
		if len(pair) < 2 || pair[0] == s.node {
			continue
		}
		text, ok := s.unseal(countPurpose, x.key+"/"+pair[0], pair[1])
		var count int
		var until int64
		if _, err := fmt.Sscanf(text, "%d %d", &count, &until); !ok || err != nil {
			continue
		}
		if at := time.UnixMilli(until); at.After(now) && !at.After(now.Add(s.cfg.Window+svcauth.DefaultLeeway)) { // else of an earlier window
			others += count
			if at.Before(ends) {
				ends = at
			}
		}
	}
	x.others = others
	if ends.Before(x.ends.Truncate(time.Millisecond)) {
		x.ends = ends
		s.again(x.window)
	}
}

func (s *share) again(w *window) {
	if !w.waiting && len(s.changed) < maxChanged {
		w.waiting = true
		s.changed = append(s.changed, w)
	}
}
