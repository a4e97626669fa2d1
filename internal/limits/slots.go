package limits

import (
	"context"
	"slices"
	"sync"
)

// Slots lets a few callers at a time do something costly. The others wait in
// turn: privileged callers before all others, and among equals one of each key
// after the other, so that a key with many callers delays no other key. Its
// user bounds how many wait, with [Shares], and how long, with the context. It
// is safe for concurrent use.
type Slots[K comparable] struct {
	kept int // the slots that only privileged callers may take

	mu          sync.Mutex
	free        int
	first, rest queues[K] // privileged callers that wait, and others
	waits       uint64
}

// NewSlots returns Slots for total callers at a time, kept of them for
// privileged callers only.
func NewSlots[K comparable](total, kept int) *Slots[K] {
	return &Slots[K]{free: total, kept: kept}
}

// Take waits for a slot. It returns an error if ctx is done first. The caller
// returns the slot with Give.
func (s *Slots[K]) Take(ctx context.Context, key K, privileged bool) error {
	_, err := s.TakeUnless(ctx, nil, key, privileged)
	return err
}

// TakeUnless is Take for a caller that needs no slot any more once needless is
// closed. It reports whether it has taken one.
func (s *Slots[K]) TakeUnless(ctx context.Context, needless <-chan struct{}, key K, privileged bool,
) (taken bool, err error) {
	place := s.Queue(key, privileged)
	select {
	case <-place.Turn:
		return true, nil
	case <-needless:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.Leave(place)
	return false, err
}

// Waiter is one of those that wait for a slot.
type Waiter[K comparable] struct {
	Turn <-chan struct{} // closed once the slot is the caller's

	turn chan struct{}
	key  K
	in   *queues[K]
}

// Queue is [Slots.Take] for a caller that waits by itself: for its turn, after
// which it returns the slot with Give, or for something else, after which it
// calls Leave.
func (s *Slots[K]) Queue(key K, privileged bool) *Waiter[K] {
	turn := make(chan struct{})
	p := &Waiter[K]{Turn: turn, turn: turn, key: key, in: &s.rest}
	if privileged {
		p.in = &s.first
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.in.push(key, turn)
	s.next()
	if !p.come() {
		s.waits++
	}
	return p
}

// Leave gives up a place, and the slot if it was its turn at the same moment.
func (s *Slots[K]) Leave(p *Waiter[K]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.come() {
		s.free++
	} else {
		p.in.remove(p.key, p.turn)
	}
	s.next()
}

// Withdraw takes places that are not needed any more out of the queue, so that
// no turn of theirs comes. Whoever waits there has to Leave all the same.
func (s *Slots[K]) Withdraw(places []*Waiter[K]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range places {
		p.in.remove(p.key, p.turn)
	}
}

func (p *Waiter[K]) come() bool {
	select {
	case <-p.turn:
		return true
	default:
		return false
	}
}

// Give returns a slot that Take took.
func (s *Slots[K]) Give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	s.next()
}

// Waits returns how many callers found no slot free.
func (s *Slots[K]) Waits() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waits
}

// next lets in whoever there is room for.
func (s *Slots[K]) next() {
	for s.free > 0 && len(s.first.order) > 0 {
		close(s.first.pop())
		s.free--
	}
	for s.free > s.kept && len(s.rest.order) > 0 {
		close(s.rest.pop())
		s.free--
	}
}

// queues are those who wait, by key. The zero queues are empty.
type queues[K comparable] struct {
	byKey map[K][]chan struct{}
	order []K // the keys of which somebody waits, whose turn it is first
}

func (q *queues[K]) push(key K, turn chan struct{}) {
	if q.byKey == nil {
		q.byKey = map[K][]chan struct{}{}
	}
	if len(q.byKey[key]) == 0 {
		q.order = append(q.order, key)
	}
	q.byKey[key] = append(q.byKey[key], turn)
}

// pop takes out the first of the key whose turn it is, which then comes last.
func (q *queues[K]) pop() chan struct{} {
	key := q.order[0]
	turn := q.byKey[key][0]
	q.order = q.order[1:]
	if q.byKey[key] = q.byKey[key][1:]; len(q.byKey[key]) > 0 {
		q.order = append(q.order, key)
	} else {
		delete(q.byKey, key)
	}
	return turn
}

// remove takes out one who waits no more, if it still does.
func (q *queues[K]) remove(key K, turn chan struct{}) {
	at := slices.Index(q.byKey[key], turn)
	if at < 0 {
		return
	}
	if q.byKey[key] = slices.Delete(q.byKey[key], at, at+1); len(q.byKey[key]) == 0 {
		delete(q.byKey, key)
		at = slices.Index(q.order, key)
		q.order = slices.Delete(q.order, at, at+1)
	}
}
