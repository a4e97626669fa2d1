package resourceserver

import (
	"context"
	"encoding/base64"
	"log/slog"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/dpop"
)

// ProofMemory remembers which proofs of possession were used, for all instances
// of an API (RFC 9449 §11.1). Package redisproofs has one with Redis. It must
// be safe for concurrent use.
type ProofMemory interface {
	// First records that a proof is used, and reports whether nobody had used
	// it before: of all who ask about the same id, one is told so. The id
	// stands for the proof's key and its jti, and is 43 characters of base64url
	// that tell neither. It need not be remembered for longer than life, which
	// is at most two minutes. First is to return when ctx is done. An error
	// says that the memory is of no help.
	First(ctx context.Context, id string, life time.Duration) (first bool, err error)
}

const (
	// askWithin is how long a request waits for the shared memory, and
	// askAgain for how long nobody asks it after it was of no help.
	askWithin = 250 * time.Millisecond
	askAgain  = time.Second
	// clocksDiffer is how much longer a proof is remembered than it can be used
	// by this instance's clock.
	clocksDiffer = 10 * time.Second
)

// sharedProofs remembers used proofs in this instance and in a memory that it
// shares with others. While that is of no help, each instance's own decides.
type sharedProofs struct {
	own    dpop.Replays
	shared ProofMemory
	clock  func() time.Time
	log    *slog.Logger

	mu    sync.Mutex
	lost  bool
	again time.Time // when it is asked again, if it is lost
}

// Use implements [dpop.Replays].
func (s *sharedProofs) Use(ctx context.Context, u dpop.Use) dpop.Outcome {
	own := s.own.Use(ctx, u)
	if own != dpop.First || !s.mayAsk() {
		return own
	}
	asking, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	first, err := s.shared.First(asking, base64.RawURLEncoding.EncodeToString(u.ID[:]),
		max(u.Until.Sub(u.Now), 0)+clocksDiffer)
	switch {
	case ctx.Err() != nil: // the caller is gone
		return dpop.Unknown
	case s.note(err):
		return own
	case !first:
		return dpop.Again
	}
	return dpop.First
}

// mayAsk reports whether the shared memory is to be asked. While it is lost,
// one request at a time finds out whether it is back.
func (s *sharedProofs) mayAsk() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	if s.lost && now.Before(s.again) && s.again.Sub(now) <= askAgain {
		return false
	}
	s.again = now.Add(askAgain)
	return true
}

// note notes what the shared memory has answered, and reports whether it was of
// no help.
func (s *sharedProofs) note(err error) (lost bool) {
	lost = err != nil
	s.mu.Lock()
	changed := lost != s.lost
	s.lost = lost
	if lost {
		s.again = s.clock().Add(askAgain)
	}
	s.mu.Unlock()
	switch {
	case changed && lost:
		s.log.Warn("the memory of proofs that instances share is of no help: until it is, a proof passes once at each "+
			"instance", "error", err)
	case changed:
		s.log.Info("the memory of proofs that instances share is back")
	}
	return lost
}
