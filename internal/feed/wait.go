package feed

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ErrUnknownCursor says that a cursor was confirmed which this server has never
// given.
var ErrUnknownCursor = errors.New("the cursor is ahead of the feed")

// Ack takes a resource server's word that it enforces every revocation up to
// cursor. It returns [ErrUnknownCursor], [ErrFull], or why the change log can't
// be read.
func (f *Feed) Ack(ctx context.Context, who Subscriber, cursor int64) error {
	if cursor > f.Head() { // another node may have given it, and this one not have read so far
		if err := f.cfg.ChangeLog.CatchUp(ctx); err != nil {
			return err
		}
		if cursor > f.Head() {
			return ErrUnknownCursor
		}
	}
	return f.receipts.ack(who, cursor)
}

// Polled records that a subscriber has polled, and will again after interval.
func (f *Feed) Polled(who Subscriber, interval time.Duration) { f.receipts.polled(who, interval) }

// ResourceServers lists the connected subscribers at all nodes that the scope
// may know, by name and instance.
func (f *Feed) ResourceServers(scope Scope) []svcauth.ResourceServer {
	known := f.receipts.list(scope)
	came := f.arrivals(scope)
	now := f.cfg.Clock()
	out := make([]svcauth.ResourceServer, 0, len(known))
	for _, one := range known {
		news := came[one.scope.key()]
		news = news[sort.Search(len(news), func(i int) bool { return news[i].seq > one.cursor }):]
		if one.Behind = int64(len(news)); one.Behind > 0 {
			one.LagMS = max(0, now.Sub(news[0].at).Milliseconds())
		}
		out = append(out, one.ResourceServer)
	}
	slices.SortFunc(out, func(a, b svcauth.ResourceServer) int {
		return cmp.Or(
			cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.ClientID, b.ClientID),
			cmp.Compare(a.Instance, b.Instance),
		)
	})
	return out
}

// arrival says when a revocation that is in memory came.
type arrival struct {
	seq int64
	at  time.Time
}

// arrivals returns the revocations in memory in order, by the key of each scope
// that sees them and that the given one may know.
func (f *Feed) arrivals(scope Scope) map[string][]arrival {
	f.mu.Lock()
	defer f.mu.Unlock()
	came := map[string][]arrival{}
	for _, r := range f.recent {
		if !scope.sees(r.orgID) {
			continue
		}
		a := arrival{r.seq, r.at}
		came[r.orgID] = append(came[r.orgID], a)
		if scope.Operator {
			came[""] = append(came[""], a)
		}
	}
	return came
}

// AwaitEnforcement waits until every connected resource server that serves the
// scope's organization (its own, and the operator's) enforces all that has been
// revoked in it so far; for the operator, in any organization. It waits at most
// for wait, and never longer than [svcauth.MaxWait]; 0 does not wait. It
// returns how it stands then.
//
// The count is over all nodes. Partial says that Redis, through which the
// others tell of theirs, is away, so that only this node's were counted.
// NotCounted says that there are more than were counted, NotWaited that there
// was no room to wait. A resource server that connects meanwhile counts too,
// and one that goes does not any more.
func (f *Feed) AwaitEnforcement(ctx context.Context, scope Scope, wait time.Duration) svcauth.Enforcement {
	began := time.Now()
	caughtUp := f.cfg.ChangeLog.CatchUp(ctx) == nil
	w := f.newWaiter(scope)
	if !caughtUp {
		// What was revoked is durable, but this node can't say which cursor it
		// is: nobody is known to enforce it.
		w.target = math.MaxInt64
		wait = 0
	}
	e := f.await(ctx, w, wait)
	e.ElapsedMS = time.Since(began).Milliseconds()
	e.Partial = f.exchange.cutOff()
	e.NotCounted = e.NotCounted || !caughtUp
	return e
}

// await asks for the receipts that a waiter waits for, and waits.
func (f *Feed) await(ctx context.Context, w *waiter, wait time.Duration) svcauth.Enforcement {
	full := false
	if wait > 0 {
		var waits bool
		if waits, full = f.receipts.enter(w); waits {
			f.want(w.scope.key(), w.target)
			if f.cfg.Cache.Shared() {
				f.receipts.enqueueWanted(w.scope.key(), w.target)
			}
			w.wait(ctx, wait)
		}
	}
	e := f.receipts.leave(w)
	e.NotWaited = full
	return e
}

// askBeforeListing is how long a list of the subscribers waits for the receipts
// of those who keep up. Unasked, they take seconds.
const askBeforeListing = 250 * time.Millisecond

// AskResourceServers is [Feed.ResourceServers] after those were asked how far
// they are who have not confirmed all that this node knows.
func (f *Feed) AskResourceServers(ctx context.Context, scope Scope) []svcauth.ResourceServer {
	limits.Release(ctx)
	f.await(ctx, f.newWaiter(scope), askBeforeListing)
	return f.ResourceServers(scope)
}

// waiter waits for those who don't enforce its target yet.
type waiter struct {
	scope   Scope
	target  int64
	pending map[*receipt]struct{}
	done    chan struct{} // closed when pending is empty
}

// newWaiter returns one for the newest revocation that concerns a scope.
func (f *Feed) newWaiter(scope Scope) *waiter {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &waiter{scope: scope, target: f.newest[scope.OrgID], done: make(chan struct{})}
	if scope.Operator {
		w.target = f.last
	}
	return w
}

func (w *waiter) wait(ctx context.Context, limit time.Duration) {
	timer := time.NewTimer(min(limit, svcauth.MaxWait))
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// update takes note of one receipt that has changed. receipts.mu is held.
func (w *waiter) update(one *receipt, now time.Time) {
	if w.pending == nil {
		return
	}
	if one.sees(w.scope.OrgID) && one.cursor < w.target && one.counts(now) {
		w.pending[one] = struct{}{}
		return
	}
	if _, ok := w.pending[one]; !ok {
		return
	}
	if delete(w.pending, one); len(w.pending) == 0 {
		w.pending = nil
		close(w.done)
	}
}

// enter reports whether there is anything to wait for and a slot to wait in.
// full says that there is something, but no slot.
func (r *receipts) enter(w *waiter) (waits, full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false, false
	}
	w.pending = map[*receipt]struct{}{}
	now := r.clock()
	for one := range r.serving(w.scope) {
		w.update(one, now)
	}
	if len(w.pending) == 0 {
		return false, false
	}
	if !r.waiting.take(w.scope) {
		return false, true
	}
	r.waiters[w] = struct{}{}
	return true, false
}

// leave ends the wait, if there was one, and counts.
func (r *receipts) leave(w *waiter) (e svcauth.Enforcement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.waiters[w]; ok {
		delete(r.waiters, w)
		r.waiting.release(w.scope)
	}
	now := r.clock()
	for one := range r.serving(w.scope) {
		if one.counts(now) {
			e.Connected++
			if one.cursor >= w.target {
				e.Enforced++
			}
		}
	}
	for _, key := range w.scope.servedBy() {
		e.NotCounted = e.NotCounted || r.uncounted[key].until.After(now)
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
