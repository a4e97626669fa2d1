package limits

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate says how often something may begin.
type Rate struct {
	PerSecond float64
	Burst     int // how many may begin at once after a rest
}

// Rates bounds how often something begins, for each key by itself. It is
// safe for concurrent use and remembers a bounded number of keys; if more are
// active at once, those beyond share one allowance.
type Rates[K comparable] struct {
	rate Rate
	keys int

	mu       sync.Mutex
	byKey    map[K]*rate.Limiter
	overflow *rate.Limiter
}

// NewRates returns Rates that allow r for each key and remember at most keys
// of them, about 150 bytes each.
func NewRates[K comparable](r Rate, keys int) *Rates[K] {
	return &Rates[K]{rate: r, keys: keys, byKey: map[K]*rate.Limiter{}, overflow: r.limiter()}
}

func (r Rate) limiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
}

// Allow counts one more for key at now and returns 0, or, if that is too
// many, counts nothing and returns how long the caller should wait.
func (r *Rates[K]) Allow(key K, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.of(key, now)
	reserved := l.ReserveN(now, 1)
	if !reserved.OK() {
		return time.Second
	}
	wait := reserved.DelayFrom(now)
	if wait > 0 {
		reserved.CancelAt(now)
	}
	return wait
}

// AllowBoth counts one more for a key of each of two bounds and returns 0, or,
// if that is too many for one of them, counts nothing and returns how long the
// caller should wait: what one refuses uses up nothing of the other.
func AllowBoth[A, B comparable](a *Rates[A], of A, b *Rates[B], and B, now time.Time) time.Duration {
	if wait := a.Allow(of, now); wait > 0 {
		return wait
	}
	wait := b.Allow(and, now)
	if wait > 0 {
		a.TakeBack(of, now)
	}
	return wait
}

// TakeBack takes back one that Allow counted for key, of something that has not
// begun after all.
func (r *Rates[K]) TakeBack(key K, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(key, now).ReserveN(now, -1)
}

// Charge counts n more for key, at most a burst, even if that is too many: the
// next ones wait for so much longer.
func (r *Rates[K]) Charge(key K, n int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(key, now).ReserveN(now, min(n, r.rate.Burst))
}

// of returns the limiter of key. Limiters that are full again are forgotten
// when there is no room: they say no more than a new one.
func (r *Rates[K]) of(key K, now time.Time) *rate.Limiter {
	if l := r.byKey[key]; l != nil {
		return l
	}
	if len(r.byKey) >= r.keys {
		const tries = 64 // bounded work; a map begins somewhere else each time
		seen := 0
		for k, l := range r.byKey {
			if l.TokensAt(now) >= float64(r.rate.Burst) {
				delete(r.byKey, k)
			}
			if seen++; seen == tries {
				break
			}
		}
		if len(r.byKey) >= r.keys {
			return r.overflow
		}
	}
	l := r.rate.limiter()
	r.byKey[key] = l
	return l
}
