package tokensource

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstBackOff = 250 * time.Millisecond
	maxBackOff   = 10 * time.Second
	// maxPatience is the longest Retry-After that a call waits for. If the server
	// asks for more, the call fails at once and says so.
	maxPatience = 30 * time.Second
	// maxSilence is the longest time for which a Retry-After that no call waited
	// for keeps the source from asking again.
	maxSilence = time.Minute
)

// retrying makes attempts until one succeeds, one fails for good, or MaxRetries are
// used up.
func (s *Source) retrying(attempt func(context.Context) *Error) error {
	for sent := 1; ; sent++ {
		ctx, cancel := context.WithTimeout(s.life, s.config.Timeout)
		failure := attempt(ctx)
		cancel()
		if s.life.Err() != nil {
			return ErrClosed
		}
		if failure == nil {
			return nil
		}
		failure.Attempts = sent
		if !failure.retryable || sent > s.config.MaxRetries || failure.RetryAfter > maxPatience {
			return failure
		}
		timer := time.NewTimer(backOff(sent, failure.RetryAfter))
		select {
		case <-timer.C:
		case <-s.life.Done():
			timer.Stop()
			return ErrClosed
		}
	}
}

// backOff doubles from a quarter of a second, half of it at random, so that many clients do not come back together. Never earlier than the server asked.
func backOff(sent int, asked time.Duration) time.Duration {
	wait := min(firstBackOff<<min(sent-1, 10), maxBackOff)
	wait = wait/2 + rand.N(wait/2)
	if asked > 0 {
		return asked + min(wait, asked/4)
	}
	return wait
}
