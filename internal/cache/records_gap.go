package cache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// gap says which records of live tokens may be missing: until a moment, those of
// clients that are older than since. Whoever lists tokens must not take what is
// lost for what never was.
type gap struct{ since, until time.Time }

// hides reports whether tokens of a client that was made at some time may be
// missing now.
func (g gap) hides(made, now time.Time) bool { return made.Before(g.since) && now.Before(g.until) }

// longestLife is that of any token, whatever the server and its client say now.
const longestLife = svcauth.MaxTokenTTLSeconds * time.Second

// gapFrom returns that of records that begin at a moment anew.
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
type gaps struct {
	sealer
	key string

	mu    sync.Mutex
	known gap
	own   gap  // what this process has lost
	seen  bool // the key has been there
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

// lost notes that records may have been lost just now.
func (g *gaps) lost(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.own = g.own.with(gapFrom(now))
	g.known = g.known.with(g.own)
}

// read takes over what the key holds, and returns what it should hold. Until the
// key has been there a process takes it that nothing is left of the time before.
func (g *gaps) read(value string, now time.Time) (string, error) {
	text, ok := g.unseal(gapPurpose, g.key, value)
	var since, until int64
	if ok {
		_, err := fmt.Sscanf(text, "%d %d", &since, &until)
		ok = err == nil
	}
	if len(g.sealer.key()) > 0 { // else nothing could be believed
		g.mu.Lock()
		switch {
		case ok && !g.seen:
			g.known, g.seen = g.own.with(gap{time.UnixMilli(since), time.UnixMilli(until)}), true
		case ok:
			g.known = g.known.with(gap{time.UnixMilli(since), time.UnixMilli(until)})
		case g.seen:
			g.known = g.known.with(gapFrom(now))
		}
		g.mu.Unlock()
	}
	known := g.get()
	return g.seal(gapPurpose, g.key, fmt.Sprintf("%d %d", known.since.UnixMilli(), known.until.UnixMilli()))
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
		if value, err = s.gaps.read(value, s.clock()); err != nil {
			return nil //nolint:nilerr // there is no key to seal with yet
		}
		return s.client.Set(ctx, s.gaps.key, value, gapKept).Err()
	})
}
