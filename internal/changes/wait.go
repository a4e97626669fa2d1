package changes

import (
	"context"
	"errors"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxWaiters is how many may wait for receipts at once; others are told at once how it stands.
const maxWaiters = 256

// ErrAhead says that a cursor was confirmed which this server has never given.
var ErrAhead = errors.New("the cursor is ahead of the feed")

// Ack takes a resource server's word that it enforces every revocation up to cursor.
func (f *Feed) Ack(ctx context.Context, who Identity, cursor int64) error {
	if cursor > f.Head() { // another node may have given it, and this one not have read so far
		if err := f.cfg.Follower.CatchUp(ctx); err != nil {
			return err
		}
		if cursor > f.Head() {
			return ErrAhead
		}
	}
	return f.receipts.ack(who, cursor)
}

// Polled notes that somebody who follows by polling has just asked.
func (f *Feed) Polled(who Identity, interval time.Duration) { f.receipts.polled(who, interval) }

// Head is the cursor up to which this node has applied the log.
func (f *Feed) Head() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head
}

// ResourceServers lists who follows the feed, at all nodes, as far as the scope may know.
func (f *Feed) ResourceServers(scope Scope) []svcauth.ResourceServer {
	return f.receipts.list(scope, f.behind)
}

// behind counts the remembered revocations after a cursor, and says when the first of them came.
func (f *Feed) behind(scope Scope, cursor int64) (n int64, oldest time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.after(cursor) {
		if scope.sees(r.orgID) {
			if n++; n == 1 {
				oldest = r.at
			}
		}
	}
	return n, oldest
}

// Enforced waits until every connected resource server that serves the scope's organization (its own, and the operator's) enforces all that has been revoked in
// it so far (for the operator: in any), for at most wait (0: not at all; at most [svcauth.MaxWait]), and says how it stands then. The count is over all nodes; Partial says that Redis, through which the others tell
// of theirs, is away, so that only this node's were counted. One that connects meanwhile counts too, and one that goes does not any more.
func (f *Feed) Enforced(ctx context.Context, scope Scope, wait time.Duration) svcauth.Enforcement {
	began := time.Now()
	caughtUp := f.cfg.Follower.CatchUp(ctx) == nil
	f.mu.Lock()
	w := &waiter{orgID: scope.OrgID, target: f.newest[scope.OrgID], done: make(chan struct{})}
	if scope.Operator {
		w.target = f.last
	}
	f.mu.Unlock()
	if !caughtUp {
		w.target = 1<<63 - 1 // what was revoked is durable, but this node can't say which cursor it is: nobody is known to enforce it
		wait = 0
	}
	if wait > 0 && f.receipts.enter(w) {
		timer := time.NewTimer(min(wait, svcauth.MaxWait))
		select {
		case <-w.done:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	e := f.receipts.leave(w)
	e.ElapsedMS = time.Since(began).Milliseconds()
	e.Partial = f.alone()
	return e
}

// waiter waits for those who don't enforce its target yet.
type waiter struct {
	orgID   string
	target  int64
	pending map[follow]struct{}
	done    chan struct{} // closed when pending is empty
}

// look takes note of one receipt that has changed. receipts.mu is held.
func (w *waiter) look(key follow, one *receipt, now time.Time) {
	if w.pending == nil {
		return
	}
	if one.sees(w.orgID) && one.cursor < w.target && one.counts(now) {
		w.pending[key] = struct{}{}
		return
	}
	if _, was := w.pending[key]; !was {
		return
	}
	if delete(w.pending, key); len(w.pending) == 0 {
		w.pending = nil
		close(w.done)
	}
}

// enter says whether there is anything to wait for.
func (r *receipts) enter(w *waiter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || len(r.waiters) >= maxWaiters {
		return false
	}
	w.pending = map[follow]struct{}{}
	now := r.clock()
	for key, one := range r.all {
		w.look(key, one, now)
	}
	if len(w.pending) == 0 {
		return false
	}
	r.waiters[w] = struct{}{}
	return true
}

func (r *receipts) leave(w *waiter) (e svcauth.Enforcement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.waiters, w)
	now := r.clock()
	for _, one := range r.all {
		if one.sees(w.orgID) && one.counts(now) {
			e.Connected++
			if one.cursor >= w.target {
				e.Enforced++
			}
		}
	}
	return e
}

func (r *receipts) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	for w := range r.waiters {
		if w.pending != nil {
			w.pending = nil
			close(w.done)
		}
	}
}
