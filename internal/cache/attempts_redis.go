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
	maxWatched    = 1024 // counters that are read back although nothing changed here
	maxNodes      = 64   // whose counts are added up
	countPurpose  = "count of wrong secrets"
)

// sharedAttempts tells the nodes of each other's counts through Redis. Each
// counter is a hash from nodes to their count and the window's end. The values
// are sealed, so whoever else may write in Redis can take counts away, and each
// node then goes by its own, but can't make one up.
//
// A node reads only the counters of those that it has seen fail itself. Whoever
// tries at many nodes gets one attempt more at each, not a limit at each.
type sharedAttempts struct {
	*remote
	*attempts
	sealer
	prefix  string
	node    string
	watched []*window
	readAt  time.Time
}

func newSharedAttempts(r *remote, a *attempts, cfg Config) *sharedAttempts {
	return &sharedAttempts{remote: r, attempts: a, prefix: cfg.Prefix, sealer: sealer{cfg.Key}, node: rand.Text()[:16]}
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

func (s *sharedAttempts) flush(ctx context.Context) {
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

// take returns the counters that changed and, every readBackEvery, those that
// were read lately.
func (s *sharedAttempts) take() (batch []*exchange) {
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

// name returns the key of a counter. It is a MAC, so that reading Redis does
// not tell who failed from where.
func (s *sharedAttempts) name(w *window) string {
	who := w.addr.String()
	if w.ofPair {
		who += "\x00" + w.client
	}
	return s.prefix + "{" + base64.RawURLEncoding.EncodeToString(s.sum("wrong secrets", s.prefix, who)[:16]) + "}:wrong"
}

// send writes this node's counts and reads all nodes'.
func (s *sharedAttempts) send(ctx context.Context, batch []*exchange) error {
	pipe := s.client.Pipeline()
	for _, x := range batch {
		if x.mine != "" {
			x.set = pipe.HSet(ctx, x.key, s.node, x.mine)
			pipe.PExpire(ctx, x.key, s.cfg.Window)
		}
		x.all = pipe.HScan(ctx, x.key, 0, "", maxNodes) // a part, if somebody has put in very many
		x.ttl = pipe.PTTL(ctx, x.key)
	}
	cmds, err := pipe.Exec(ctx)
	repair := s.client.Pipeline()
	for _, x := range batch {
		if x.ttl.Err() != nil {
			continue
		}
		if x.ttl.Val() == -1 {
			repair.PExpire(ctx, x.key, s.cfg.Window) // it ended in between, and must not be kept for ever
		}
	}
	if repair.Len() > 0 {
		_, _ = repair.Exec(ctx)
	}
	return asWhole(cmds, err)
}

// learn takes over the counts of the other nodes. What could not be written is
// written by the next flush.
func (s *sharedAttempts) learn(batch []*exchange) {
	s.attempts.mu.Lock()
	defer s.attempts.mu.Unlock()
	for _, x := range batch {
		if x.all == nil || x.all.Err() != nil || x.set != nil && x.set.Err() != nil {
			s.writeAgain(x.window)
			continue
		}
		s.tally(x)
		if len(s.watched) < maxWatched {
			s.watched = append(s.watched, x.window)
		}
	}
}

// tally adds up the counts of the other nodes. The window that began first ends
// for all. A node that learns of an earlier end writes it into its own count,
// so that the count does not outlive the window.
func (s *sharedAttempts) tally(x *exchange) {
	others, ends := 0, x.ends
	fields, _ := x.all.Val()
	for pair := range slices.Chunk(fields, 2) {
		if len(pair) < 2 || pair[0] == s.node {
			continue
		}
		count, until, ok := s.parseCount(x.key+"/"+pair[0], pair[1])
		if !ok {
			continue
		}
		others += count
		if until.Before(ends) {
			ends = until
		}
	}
	x.others = others
	if ends.Before(x.ends.Truncate(time.Millisecond)) {
		x.ends = ends
		s.writeAgain(x.window)
	}
}

// parseCount returns what a node has sealed at a place, unless that is forged
// or of an earlier window.
func (s *sharedAttempts) parseCount(place, sealed string) (count int, until time.Time, ok bool) {
	text, ok := s.unseal(countPurpose, place, sealed)
	var untilMS int64
	if _, err := fmt.Sscanf(text, "%d %d", &count, &untilMS); !ok || err != nil {
		return 0, time.Time{}, false
	}
	now := s.cfg.Clock()
	until = time.UnixMilli(untilMS)
	return count, until, until.After(now) && !until.After(now.Add(s.cfg.Window+svcauth.DefaultLeeway))
}

// writeAgain puts a counter among those of the next flush.
func (s *sharedAttempts) writeAgain(w *window) {
	if !w.waiting && len(s.changed) < maxChanged {
		w.waiting = true
		s.changed = append(s.changed, w)
	}
}
