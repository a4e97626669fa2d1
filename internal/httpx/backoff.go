package httpx

import (
	"math/rand/v2"
	"time"
)

// Backoff says when to come back to a server that has failed: about First after
// the first failure, and after each further one twice as long, up to Most.
type Backoff struct{ First, Most time.Duration }

// Wait returns how long to wait after so many failures in a row: 0 after none.
// It is at random the upper half of what the failures call for, so that many
// callers don't come back together. asked is for how long the server asked to
// be left alone, or 0: Wait never returns less, and at random up to half more.
func (b Backoff) Wait(failures int, asked time.Duration) time.Duration {
	if failures <= 0 {
		return Spread(asked)
	}
	longest := min(b.First<<min(failures-1, 16), b.Most)
	return max(longest/2+rand.N(longest/2+1), Spread(asked))
}

// Spread returns d and at random up to half as much again, for callers that
// were told the same and must not come back together.
func Spread(d time.Duration) time.Duration {
	return d + rand.N(d/2+1)
}
