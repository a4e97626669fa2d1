package tokensource

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
)

const (
	// maxPatience is the longest Retry-After that a call waits for. If the
	// server asks for more, the call fails at once and says so.
	maxPatience = 30 * time.Second
	// maxSilence is the longest time that the source sends nothing because of a
	// Retry-After that was too long for the call.
	maxSilence = time.Minute
)

// backoff is how long to wait before a request is made again.
var backoff = httpx.Backoff{First: 250 * time.Millisecond, Most: 10 * time.Second}

// retrying makes attempts until one succeeds, one fails for good, or MaxRetries
// is used up.
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
		timer := time.NewTimer(backoff.Wait(sent, failure.RetryAfter))
		select {
		case <-timer.C:
		case <-s.life.Done():
			timer.Stop()
			return ErrClosed
		}
	}
}
