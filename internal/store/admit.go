package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
)

// ErrCrowded means that a request was refused at once, because too many wait
// for the database or it does not answer at all. It is an [ErrUnavailable].
var ErrCrowded = fmt.Errorf("%w: too many requests wait for it, or it does not answer", ErrUnavailable)

// Admit counts the request of ctx among those that wait for the database. Every
// query and every transaction does so by itself. A caller that will wait for
// another request's query calls Admit first. The error is [ErrCrowded].
func (s *Store) Admit(ctx context.Context) error {
	if limits.IsOwn(ctx) {
		return nil
	}
	if err := s.AdmitAnyway(ctx); err != nil {
		return err
	}
	return s.Silent()
}

// AdmitAnyway is Admit for a request that can do without the database: that this
// does not answer keeps it from nothing. See [Store.Silent].
func (s *Store) AdmitAnyway(ctx context.Context) error {
	if limits.IsOwn(ctx) || limits.Await(ctx) {
		return nil
	}
	return ErrCrowded
}

// Silent returns [ErrCrowded] if the database does not answer: who asked would
// wait for nothing. Every half second it is nil for one caller, who finds out.
func (s *Store) Silent() error {
	if s.door.open(time.Now()) {
		return nil
	}
	return ErrCrowded
}

// pass says that a caller that has waited before its call was admitted, and may
// hold one of slots. Without having been admitted it would wait together with
// all others that come while the door seems open.
type pass struct{ slots *limits.Slots[string] }

type passKey struct{}

// withPass returns a copy of ctx for the calls of a request that was admitted
// and, unless slots is nil, holds one of slots.
func withPass(ctx context.Context, slots *limits.Slots[string]) context.Context {
	return context.WithValue(ctx, passKey{}, pass{slots})
}

// call runs a query outside a transaction, or a whole transaction, as soon as
// one of slots is free or if its caller holds one. With nil slots it needs
// none.
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

// door refuses requests while the database does not answer. The server's own
// calls pass it always.
type door struct {
	mu       sync.Mutex
	unheard  int       // calls in a row that the database did not answer
	answered time.Time // when it last did
	shut     bool
	probeAt  time.Time // while shut: when the next request is let through
}

// Requests are refused at once if the database has left shutAfter calls in a
// row unanswered, each for unansweredAfter, and has answered none for quietFor.
// Every probeEvery one is let through.
const (
	shutAfter       = 3
	unansweredAfter = 2 * time.Second
	quietFor        = 3 * time.Second
	probeEvery      = 500 * time.Millisecond
)

// open reports whether a request may go on. While the door is shut, it is true
// for one request every probeEvery.
func (d *door) open(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut && now.Before(d.probeAt) {
		return false
	}
	if d.shut {
		d.probeAt = now.Add(probeEvery)
	}
	return true
}

// heard records the outcome of a call.
func (d *door) heard(began, ended time.Time, err error) {
	if errors.Is(err, ErrUnavailable) && ended.Sub(began) < unansweredAfter {
		return // a refusal costs nobody time, or the caller had no time
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
