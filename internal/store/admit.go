package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
)

// ErrCrowded says that a request was refused at once: too many wait for the
// database already, or it does not answer at all. It is an [ErrUnavailable].
var ErrCrowded = fmt.Errorf("%w: too many requests wait for it, or it does not answer", ErrUnavailable)

// Admit counts the request of ctx among those that wait for the database, as
// every query and every transaction does by itself. Who will wait for somebody
// else's calls it first. The error is [ErrCrowded].
func (s *Store) Admit(ctx context.Context) error {
	if limits.IsOwn(ctx) || limits.Await(ctx) && s.door.open(time.Now()) {
		return nil
	}
	return ErrCrowded
}

// pass is what a caller has already who waited before its call: it was admitted,
// and may hold one of slots. Who waits without having been admitted would wait
// with all others who come while the door seems open.
type pass struct{ slots *limits.Slots[string] }

type passKey struct{}

// withPass returns a copy of ctx for calls of one that was admitted and, unless
// slots is nil, holds one of them.
func withPass(ctx context.Context, slots *limits.Slots[string]) context.Context {
	return context.WithValue(ctx, passKey{}, pass{slots})
}

// call runs a query outside a transaction, or a whole transaction, when there is
// a slot, unless its caller holds one; nil: it needs none.
func (s *Store) call(ctx context.Context, what string, slots *limits.Slots[string], do func() error) (err error) {
	has, admitted := ctx.Value(passKey{}).(pass)
	if !admitted {
		if err := s.Admit(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	defer func() { s.cfg.observe(ctx, what, began, err) }()
	if slots != nil && has.slots != slots {
		key, privileged := limits.Caller(ctx)
		if err := slots.Take(ctx, key, privileged); err != nil {
			return classify("wait for a connection", err)
		}
		defer slots.Give()
	}
	asked := time.Now()
	err = do()
	s.door.heard(asked, time.Now(), err)
	return err
}

// door is before the database. What is the server's own finds it open.
type door struct {
	mu       sync.Mutex
	unheard  int       // calls in a row that the database did not answer
	answered time.Time // when it last did
	shut     bool
	lookAt   time.Time // while shut: when the next request is let through to see
}

// Requests are refused at once when the database has left shutAfter calls in a
// row unanswered, each for patience, and has answered none for quietFor. Every
// lookEvery one is let through to see.
const (
	shutAfter = 3
	patience  = 2 * time.Second
	quietFor  = 3 * time.Second
	lookEvery = 500 * time.Millisecond
)

// open reports whether a request may go on. While the door is shut, it is the one
// that is let through then.
func (d *door) open(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut && now.Before(d.lookAt) {
		return false
	}
	if d.shut {
		d.lookAt = now.Add(lookEvery)
	}
	return true
}

// heard takes what came of a call.
func (d *door) heard(began, ended time.Time, err error) {
	if errors.Is(err, ErrUnavailable) && ended.Sub(began) < patience {
		return // it says no, which costs nobody time, or the caller had none
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !errors.Is(err, ErrUnavailable) {
		d.unheard, d.answered, d.shut = 0, ended, false
		return
	}
	d.unheard++
	d.shut = d.shut || d.unheard >= shutAfter && ended.Sub(d.answered) >= quietFor
}
