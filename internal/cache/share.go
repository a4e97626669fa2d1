package cache

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	readBackEvery = time.Second
	maxWatched    = 1024 // counters whose total is read back though nothing changed here
)

// share tells the other nodes of the wrong secrets seen here, and learns of theirs. A node asks about whom it has seen fail itself: whoever tries at
// many nodes gets one attempt more at each, not a limit at each.
type share struct {
	*remote
	*attempts
	prefix  string
	key     []byte
	watched []*window
	readAt  time.Time
}

func newShare(r *remote, a *attempts, cfg Config) *share {
	return &share{remote: r, attempts: a, prefix: cfg.Prefix, key: cfg.DigestKey}
}

// exchange is one counter on its way to Redis and back.
type exchange struct {
	*window
	key   string
	delta int
	total *redis.IntCmd
	read  *redis.StringCmd
	ttl   *redis.DurationCmd
}

func (s *share) flush(ctx context.Context) {
	for {
		batch := s.take()
		if len(batch) == 0 {
			return
		}
		err := s.do(ctx, func(ctx context.Context) error { return s.send(ctx, batch) })
		s.learn(batch, err)
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
			batch = append(batch, &exchange{window: w, key: s.name(w), delta: w.here - w.sent})
			w.sent = w.here
		}
	}
	s.changed = append(s.changed[:0], s.changed[n:]...)
	return batch
}

// name is a digest: who failed from where is nobody's business who can read Redis.
func (s *share) name(w *window) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(w.addr.String()))
	if w.ofPair {
		mac.Write([]byte("\x00" + w.client))
	}
	return s.prefix + "{" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16]) + "}:wrong"
}

// send counts in Redis. The first failure makes the key, and with it the window for all nodes.
func (s *share) send(ctx context.Context, batch []*exchange) error {
	pipe := s.client.Pipeline()
	for _, x := range batch {
		if x.delta > 0 {
			pipe.SetNX(ctx, x.key, 0, s.cfg.Window)
			x.total = pipe.IncrBy(ctx, x.key, int64(x.delta))
		} else {
			x.read = pipe.Get(ctx, x.key)
		}
		x.ttl = pipe.PTTL(ctx, x.key)
	}
	_, err := pipe.Exec(ctx)
	repair := s.client.Pipeline()
	for _, x := range batch {
		switch {
		case x.ttl.Err() == nil:
			err = nil // at least a part of a cluster answers
			if x.ttl.Val() == -1 {
				repair.PExpire(ctx, x.key, s.cfg.Window) // ended between SET and INCRBY; must not count for ever
			}
		case errors.Is(err, redis.Nil):
			err = x.ttl.Err()
		}
	}
	if repair.Len() > 0 {
		_, _ = repair.Exec(ctx)
	}
	return err
}

// learn takes over the totals. What was sent and not answered may have been counted or not; it is not sent again, because counting twice would lock out somebody
// too early. What was never sent is kept for later.
func (s *share) learn(batch []*exchange, err error) {
	s.attempts.mu.Lock()
	defer s.attempts.mu.Unlock()
	now := s.cfg.Clock()
	for _, x := range batch {
		if x.ttl == nil { // refused before anything was sent: the breaker is open, or time is up
			x.sent -= x.delta
			if !x.waiting && len(s.changed) < maxChanged {
				x.waiting = true
				s.changed = append(s.changed, x.window)
			}
			continue
		}
		if x.delta > 0 && x.total.Err() == nil {
			x.window.total = int(x.total.Val())
		} else if x.delta == 0 && x.read.Err() == nil {
			if n, err := x.read.Int(); err == nil {
				x.window.total = n
			}
		}
		if ttl := x.ttl.Val(); err == nil && x.ttl.Err() == nil && ttl > 0 && now.Add(ttl).Before(x.ends) {
			x.ends = now.Add(ttl)
		}
		if len(s.watched) < maxWatched {
			s.watched = append(s.watched, x.window)
		}
	}
}
