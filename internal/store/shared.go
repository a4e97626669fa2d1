package store

import (
	"context"
	"errors"
	"sync"

	"github.com/svcauth/svcauth/internal/limits"
)

// Shared is a read that many requests may ask for at once, and that one of them
// does for all. Each of them waits for a connection in a turn of its own, and
// whoever comes first reads: nobody waits in the turn of somebody else, who may
// have asked before and stands in a crowd. It is safe for concurrent use.
type Shared[K comparable, T any] struct {
	store *Store

	mu   sync.Mutex
	next map[K]*sharedRead[T] // those that have not begun
}

// sharedRead is one read and what came of it.
type sharedRead[T any] struct {
	waiting     int           // how many wait to begin it
	begun, done chan struct{} // closed when it has, and is
	value       T
	err         error
}

// NewShared returns Shared for reads of s.
func NewShared[K comparable, T any](s *Store) *Shared[K, T] {
	return &Shared[K, T]{store: s, next: map[K]*sharedRead[T]{}}
}

// errNotRead is what the others get if a read has panicked.
var errNotRead = errors.New("the request that read for others, too, has failed")

// Do returns what read returns, called once for those who ask for key at once. A
// read that has begun is not joined: the answer is never older than the question.
// All queries with read's context run in the one turn that was waited for. They
// go on if the request ends, since others may wait for them.
func (s *Shared[K, T]) Do(ctx context.Context, key K, read func(context.Context) (T, error)) (none T, err error) {
	if err := s.store.Admit(ctx); err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	r, slots := s.join(key), s.store.inTurn
	caller, privileged := limits.Caller(ctx)
	taken, err := slots.TakeUnless(ctx, r.begun, caller, privileged)
	if s.leave(key, r, taken) {
		defer slots.Give()
		return r.run(withPass(context.WithoutCancel(ctx), slots), read)
	}
	if taken {
		slots.Give()
	}
	if err != nil {
		return none, classify("wait for a connection", err)
	}
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		return none, classify("wait for what another request reads", ctx.Err())
	}
}

// join returns the read of key that has not begun, which leave must follow.
func (s *Shared[K, T]) join(key K) *sharedRead[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.next[key]
	if r == nil {
		r = &sharedRead[T]{begun: make(chan struct{}), done: make(chan struct{})}
		s.next[key] = r
	}
	r.waiting++
	return r
}

// leave ends the wait for a turn. It reports whether the caller, whose turn it is
// if taken is true, is the one that has to read.
func (s *Shared[K, T]) leave(key K, r *sharedRead[T], taken bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.waiting--
	if s.next[key] != r { // it has begun
		return false
	}
	if taken || r.waiting == 0 {
		delete(s.next, key)
	}
	if taken {
		close(r.begun)
	}
	return taken
}

func (r *sharedRead[T]) run(ctx context.Context, read func(context.Context) (T, error)) (T, error) {
	defer close(r.done)
	r.err = errNotRead
	r.value, r.err = read(ctx)
	return r.value, r.err
}
