package tokensource

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// maxMargin is how long before its expiry a token is no longer handed out,
	// since it needs time to arrive. golang.org/x/oauth2 has the same.
	maxMargin    = 10 * time.Second
	maxRenewal   = 20 * time.Minute
	maxIdle      = time.Hour
	renewalRetry = time.Minute // at most, after a renewal that failed
)

// keep makes t the current token and schedules its renewal. The caller holds
// the lock.
func (s *Source) keep(t *token, now time.Time) {
	ahead := min(t.lifetime/2, maxRenewal)
	ahead -= rand.N(ahead/10 + 1)
	t.renewAt = now.Add(ahead)
	s.current = t
	s.schedule(ahead)
}

// miss notes why there is no new token. While the old one is still usable, it
// schedules another attempt in the background. The caller holds the lock.
func (s *Source) miss(err error, now time.Time) {
	var failure *Error
	if errors.As(err, &failure) && failure.RetryAfter > 0 {
		s.refusal, s.until = failure, now.Add(min(failure.RetryAfter, maxSilence))
	}
	if !s.current.usable(now) {
		return
	}
	ahead := min(max(s.current.expiry.Sub(now)/2, time.Second), renewalRetry)
	if s.refusal != nil {
		ahead = max(ahead, s.until.Sub(now))
	}
	ahead += rand.N(ahead/10 + 1)
	s.current.renewAt = now.Add(ahead)
	s.schedule(ahead)
}

// schedule sets the timer of the next renewal. The caller holds the lock.
func (s *Source) schedule(ahead time.Duration) {
	s.stopTimer()
	var timer *time.Timer
	timer = time.AfterFunc(ahead, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.timer != timer { // stopped too late
			return
		}
		now := s.config.Clock()
		// No new timer: a source that nobody uses can then be garbage
		// collected, even if it was not closed.
		if s.current == nil || s.life.Err() != nil || now.Sub(s.lastUsed) > min(s.current.lifetime, maxIdle) {
			return
		}
		s.takeOff(now)
	})
	s.timer = timer
}

func (s *Source) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}
