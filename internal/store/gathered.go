package store

import (
	"context"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
)

// Gathered is a read that many requests ask for at once, each for a key of its
// own, and that one of them does for all: one statement instead of many. Each
// waits in its own turn, and the first whose turn it is takes the others along.
// So nobody waits in the turn of another request, whose organization may have
// many before it. While few ask, nobody waits. Once many do, a statement waits
// for a moment until as many ask as before: most of what one costs, here and
// there, is the same for one key and for many. It is safe for concurrent use.
type Gathered[K comparable, T any] struct {
	store *Store
	read  func(context.Context, []K) ([]T, error)
	turns *limits.Slots[string]
	slow  time.Duration // after which a statement makes nobody wait any more
	wait  time.Duration // for how long one waits for others to come along

	mu      sync.Mutex
	next    map[K]*sharedRead[T] // those that have not begun
	running int                  // how many statements
	usual   int                  // how many keys statements have read lately
	enough  chan struct{}        // closed once as many ask as is usual; nil: nobody waits for that
}

const (
	// gatherers is how many statements of one Gathered run at a time: one, while
	// the next ones gather, and one that is kept for the operator and for the
	// server itself.
	gatherers = 2
	// slowGatherers is how many run if they are slow, because the database is
	// far away, or one of its connections has died.
	slowGatherers = 6
	slowStatement = 5 * time.Millisecond
	// maxGathered is how many keys one statement reads.
	maxGathered = 64
	// A statement waits for others to come along if manyGathered keys or more
	// are usual, and for gatherFor at most.
	manyGathered = 4
	gatherFor    = 2 * time.Millisecond
)

// NewGathered returns Gathered for reads of s. read returns one result for each
// key, in their order.
func NewGathered[K comparable, T any](
	s *Store, read func(ctx context.Context, keys []K) ([]T, error),
) *Gathered[K, T] {
	return &Gathered[K, T]{
		store: s, read: read, turns: limits.NewSlots[string](gatherers, 1), slow: slowStatement,
		wait: gatherFor, next: map[K]*sharedRead[T]{},
	}
}

// Do returns what read returns for key. A read that has begun is not joined, so
// the answer is never older than the question. A read goes on if its request
// ends, since others wait for it.
func (g *Gathered[K, T]) Do(ctx context.Context, key K) (none T, err error) {
	if err := g.store.Admit(ctx); err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.store.cfg.Patience)
	defer cancel()
	place := g.turns.Queue(limits.Caller(ctx))
	r := g.join(key, place)
	taken := false
	select {
	case <-place.Turn:
		taken = true
		g.gather(ctx, r)
	case <-r.done: // another request has read it, too
		g.turns.Leave(place)
	case <-ctx.Done():
		g.turns.Leave(place)
	}
	if keys, reads := g.leave(key, r, taken); taken {
		g.run(ctx, keys, reads)
	}
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		return none, classify("wait for a turn to read, or for what another request reads", ctx.Err())
	}
}

// join returns the read of key that has not begun, which leave must follow.
func (g *Gathered[K, T]) join(key K, place *limits.Waiter[string]) *sharedRead[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.next[key]
	if r == nil {
		r = &sharedRead[T]{begun: make(chan struct{}), done: make(chan struct{})}
		g.next[key] = r
	}
	r.waiting++
	r.places = append(r.places, place)
	if g.enough != nil && len(g.next) >= g.usual {
		close(g.enough)
		g.enough = nil
	}
	return r
}

// gather waits until as many ask as is usual, or for a moment, or until r has
// begun.
func (g *Gathered[K, T]) gather(ctx context.Context, r *sharedRead[T]) {
	g.mu.Lock()
	if g.usual < manyGathered || len(g.next) >= g.usual {
		g.mu.Unlock()
		return
	}
	if g.enough == nil {
		g.enough = make(chan struct{})
	}
	enough := g.enough
	g.mu.Unlock()
	moment := time.NewTimer(g.wait)
	defer moment.Stop()
	select {
	case <-enough:
	case <-r.begun:
	case <-moment.C:
	case <-ctx.Done():
	}
}

// leave ends the wait for a turn. If it is the caller's (taken) and its read
// has not begun, leave returns what the caller has to read: for itself, and for
// others that wait, in no order.
func (g *Gathered[K, T]) leave(key K, r *sharedRead[T], taken bool) (keys []K, reads []*sharedRead[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.waiting--
	if g.next[key] != r { // it has begun
		return nil, nil
	}
	if !taken {
		if r.waiting == 0 {
			delete(g.next, key)
		}
		return nil, nil
	}
	begin := func(key K, r *sharedRead[T]) {
		delete(g.next, key)
		close(r.begun)
		g.turns.Withdraw(r.places)
		keys, reads = append(keys, key), append(reads, r)
	}
	begin(key, r)
	for key, r := range g.next {
		if len(keys) == maxGathered {
			break
		}
		begin(key, r)
	}
	g.usual = max(len(keys), g.usual-1)
	return keys, reads
}

// run reads what leave has returned, and gives the turn back. It waits for a
// connection in nobody's turn: each of the few that run was a turn of its own.
func (g *Gathered[K, T]) run(ctx context.Context, keys []K, reads []*sharedRead[T]) {
	defer g.begin()()
	if len(keys) == 0 {
		return
	}
	values, err := []T(nil), errNotRead
	defer func() {
		for i, r := range reads {
			if r.err = err; err == nil {
				r.value = values[i]
			}
			close(r.done)
		}
	}()
	values, err = g.read(withPass(limits.Own(context.WithoutCancel(ctx)), nil), keys)
}

// begin counts a statement, which end ends. The turn is given back once it has
// ended, or before if it is slow and not too many run.
func (g *Gathered[K, T]) begin() (end func()) {
	given := sync.OnceFunc(g.turns.Give)
	g.mu.Lock()
	g.running++
	g.mu.Unlock()
	early := time.AfterFunc(g.slow, func() {
		g.mu.Lock()
		few := g.running < slowGatherers
		g.mu.Unlock()
		if few {
			given()
		}
	})
	return func() {
		early.Stop()
		g.mu.Lock()
		g.running--
		g.mu.Unlock()
		given()
	}
}
