package limits

import "sync"

// Bound says how much may be under way at once, in units of the caller's
// choice (requests, connections, bytes).
type Bound struct {
	Total    int // over all keys
	Each     int // for one key; 0: no bound of its own
	Reserved int // the part of Total that only privileged callers may use
}

// Shares counts what is under way, in total and by key. Nobody waits: a
// caller that finds no room is refused at once. It is safe for concurrent
// use, and it forgets a key that holds nothing.
type Shares[K comparable] struct {
	bound Bound

	mu   sync.Mutex
	used int
	held map[K]int
}

// NewShares returns Shares within bound. Privileged callers are bound by
// bound.Total only, all others by Total less Reserved and by Each.
func NewShares[K comparable](bound Bound) *Shares[K] {
	return &Shares[K]{bound: bound, held: map[K]int{}}
}

// Left returns how many more units key may take.
func (s *Shares[K]) Left(key K, privileged bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left(key, privileged)
}

func (s *Shares[K]) left(key K, privileged bool) int {
	left := s.bound.Total - s.used
	if !privileged {
		if left -= s.bound.Reserved; s.bound.Each > 0 {
			left = min(left, s.bound.Each-s.held[key])
		}
	}
	return left
}

// Take takes n units for key and reports whether there was room. The caller
// returns them with Give.
func (s *Shares[K]) Take(key K, n int, privileged bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.left(key, privileged) {
		return false
	}
	s.used += n
	s.held[key] += n
	return true
}

// Give returns n units that Take took for key.
func (s *Shares[K]) Give(key K, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
	if s.held[key] -= n; s.held[key] == 0 {
		delete(s.held, key)
	}
}

// Used returns how many units are taken, over all keys.
func (s *Shares[K]) Used() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Held returns how many units key has taken.
func (s *Shares[K]) Held(key K) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[key]
}
