package cache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// gap says which records of live tokens may be missing: before until, those of
// clients that are older than since. A list of tokens must not take what is
// lost for what never was.
type gap struct{ since, until time.Time }

// hides reports whether tokens of a client that was made at the given time may
// be missing now.
func (g gap) hides(made, now time.Time) bool { return made.Before(g.since) && now.Before(g.until) }

// longestLife is the longest life of any token, whatever the server and its
// client are configured with now.
const longestLife = svcauth.MaxTokenTTLSeconds * time.Second

// gapFrom returns the gap of records that begin anew now.
func gapFrom(now time.Time) gap {
	now = now.Truncate(time.Millisecond) // as clients are dated
	return gap{now, now.Add(longestLife)}
}

func (g gap) with(other gap) gap {
	if other.since.After(g.since) {
		g.since = other.since
	}
	if other.until.After(g.until) {
		g.until = other.until
	}
	return g
}

// gaps keeps the one gap of all nodes' records, in step with Redis:
//
//	<prefix>{records}:gap   the gap, sealed
//
// If that key is gone so are records: Redis was flushed, or came back empty.
// And if it is older than it was: Redis came back with what it had once saved.
type gaps struct {
	sealer
	key string

	mu     sync.Mutex
	known  gap
	own    gap   // what this process has lost
	seen   bool  // the key has been there
	losses int   // of this process
	told   int   // how many of them are in the key
	mark   int64 // what this process last wrote as the time of writing, ms
}

const (
	gapPurpose = "records missing"
	gapKept    = 7 * 24 * time.Hour
)

func newGaps(cfg Config) *gaps {
	return &gaps{sealer: sealer{cfg.Key}, key: cfg.Prefix + "{records}:gap", known: gapFrom(cfg.Clock())}
}

func (g *gaps) get() gap {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known
}

// lost records that records may have been lost just now.
func (g *gaps) lost(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.own = g.own.with(gapFrom(now))
	g.known = g.known.with(g.own)
	g.losses++
}

// allTold reports whether all that this process has lost is in the key.
func (g *gaps) allTold() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.told == g.losses
}

// wentBack is by how much the key may be older than what this process wrote
// there last: another node may have written in between what it had read before.
const wentBack = 3 * time.Second

// read takes over what the key holds and returns what it should hold. Until a
// process has seen the key, it assumes that nothing is left of the time before.
// If the key is older than what this process wrote, Redis has come back with
// what it had once saved. The caller calls written when the key holds the new
// value.
func (g *gaps) read(value string, now time.Time) (next string, written func(), err error) {
	text, ok := g.unseal(gapPurpose, g.key, value)
	var since, until, mark int64
	if ok {
		_, err := fmt.Sscanf(text, "%d %d %d", &since, &until, &mark)
		ok = err == nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.sealer.key()) > 0 { // else nothing could be believed
		there := gap{time.UnixMilli(since), time.UnixMilli(until)}
		switch {
		case ok && !g.seen:
			g.known, g.seen = g.own.with(there), true
		case ok && mark >= g.mark-wentBack.Milliseconds():
			g.known = g.known.with(there)
		case g.seen:
			g.known = g.known.with(gapFrom(now))
		}
	}
	mark = max(mark, now.UnixMilli())
	losses := g.losses
	next, err = g.seal(gapPurpose, g.key,
		fmt.Sprintf("%d %d %d", g.known.since.UnixMilli(), g.known.until.UnixMilli(), mark))
	return next, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.told, g.mark = losses, mark
	}, err
}

// compare reads the gap from Redis and writes it there.
func (s *redisRecords) compare(ctx context.Context) {
	now := time.Now()
	if now.Sub(s.compared) < probeEvery {
		return
	}
	s.compared = now
	_ = s.do(ctx, func(ctx context.Context) error {
		value, err := s.client.GetRange(ctx, s.gaps.key, 0, maxRecord).Result()
		if err != nil {
			return err
		}
		next, written, err := s.gaps.read(value, s.clock())
		if err != nil {
			return nil //nolint:nilerr // there is no key to seal with yet
		}
		if err := s.client.Set(ctx, s.gaps.key, next, gapKept).Err(); err != nil {
			return err
		}
		written()
		return nil
	})
}
