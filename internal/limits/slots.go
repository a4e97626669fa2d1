package limits

import (
	"context"
	"slices"
	"sync"
)

// Slots lets a few callers at a time do something costly; the others wait in
// turn, privileged callers before all others. Whoever uses it bounds how many
// wait, with [Shares], and for how long, with the context. It is safe for
// concurrent use.
type Slots struct {
	kept int // the slots that only privileged callers may take

	mu          sync.Mutex
	free        int
	first, rest []chan struct{} // callers that wait: privileged ones and others
}

// NewSlots returns Slots for total callers at a time. If there are several,
// one is kept for privileged callers.
func NewSlots(total int) *Slots {
	return &Slots{free: total, kept: min(1, total-1)}
}

// Take waits for a slot. It returns an error if ctx is done first. The caller
// returns the slot with Give.
func (s *Slots) Take(ctx context.Context, privileged bool) error {
	turn := make(chan struct{})
	s.mu.Lock()
	if privileged {
		s.first = append(s.first, turn)
	} else {
		s.rest = append(s.rest, turn)
	}
	s.next()
	s.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	waits := func(c chan struct{}) bool { return c == turn }
	waiting := len(s.first) + len(s.rest)
	s.first, s.rest = slices.DeleteFunc(s.first, waits), slices.DeleteFunc(s.rest, waits)
	if waiting == len(s.first)+len(s.rest) { // its turn came at the same moment
		s.free++
	}
	s.next()
	return ctx.Err()
}

// Give returns a slot that Take took.
func (s *Slots) Give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	s.next()
}

// next lets in whoever there is room for.
func (s *Slots) next() {
	for len(s.first) > 0 && s.free > 0 {
		close(s.first[0])
		s.first, s.free = s.first[1:], s.free-1
	}
	for len(s.rest) > 0 && s.free > s.kept {
		close(s.rest[0])
		s.rest, s.free = s.rest[1:], s.free-1
	}
}
