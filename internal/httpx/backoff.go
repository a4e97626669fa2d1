package httpx

import (
	"math/rand/v2"
	"time"
)

// Backoff says how long to wait before calling a server again that has failed:
// about First after the first failure, and twice as long after each further
// one, up to Most.
type Backoff struct{ First, Most time.Duration }

// Wait returns how long to wait after that many failures in a row; 0 after
// none. It is a random time between half of what the failures call for and all
// of it, so that many callers don't come back together. asked is how long the
// server asked to wait, or 0: Wait returns at least that, and up to half more.
func (b Backoff) Wait(failures int, asked time.Duration) time.Duration {
	if failures <= 0 {
		return Spread(asked)
	}
	longest := min(b.First<<min(failures-1, 16), b.Most)
	return max(longest/2+rand.N(longest/2+1), Spread(asked))
}

// Spread returns d plus up to half of it, at random, so that callers that were
// told the same time don't come back together.
func Spread(d time.Duration) time.Duration {
	return d + rand.N(d/2+1)
}
