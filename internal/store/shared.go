package store

import (
	"context"
	"errors"
	"sync"

	"github.com/svcauth/svcauth/internal/limits"
)

// Shared is a read that many requests may ask for at once and one of them does
// for all. Each waits for a connection in its own turn, and the first to have
// one reads. So nobody waits in the turn of another request, whose organization
// may have many before it. Shared is safe for concurrent use.
type Shared[K comparable, T any] struct {
	store *Store

	mu   sync.Mutex
	next map[K]*sharedRead[T] // those that have not begun
}

// sharedRead is one read and its result.
type sharedRead[T any] struct {
	waiting     int                      // how many wait to begin it
	places      []*limits.Waiter[string] // of [Gathered]: where they wait for their turn
	begun, done chan struct{}            // closed when it has, and is
	value       T
	err         error
}

// NewShared returns Shared for reads of s.
func NewShared[K comparable, T any](s *Store) *Shared[K, T] {
	return &Shared[K, T]{store: s, next: map[K]*sharedRead[T]{}}
}

// errNotRead is what the other requests get if a read has panicked.
var errNotRead = errors.New("the request that read for others, too, has failed")

// Do returns the result of read, which is called once for all requests that ask
// for key at the same time. A read that has begun is not joined, so the answer
// is never older than the question. All queries with read's context run on the
// one connection that was waited for. They go on if the request ends, since
// others may wait for them.
func (s *Shared[K, T]) Do(ctx context.Context, key K, read func(context.Context) (T, error)) (none T, err error) {
	if err := s.store.Admit(ctx); err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.store.cfg.Patience)
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

// leave ends the wait for a turn. It reports whether the caller has to read,
// which it does if it is the first whose turn it is (taken).
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
