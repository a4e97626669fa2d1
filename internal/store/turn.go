package store

import (
	"context"
	"sync"
)

// Turn says whose a change is, and whether it may overtake others. All changes
// of all nodes happen one after another. Without turns, an organization that
// sends many would decide how long the others wait.
type Turn struct {
	OrgID string // organizations take turns; empty for the server's own changes
	// First is for what takes something away: a revocation must not wait behind
	// changes that can wait. Such changes have a lane of their own.
	First bool
}

// turns lets at most one change of each of the two lanes into the database at
// once. A change that waits holds no connection. Organizations take turns, and
// the changes of one go in the order in which they came. The requests in work
// bound how many wait, and the context bounds how long.
type turns struct {
	mu    sync.Mutex
	lanes [2]lane
}

type lane struct {
	taken bool
	byOrg map[string][]*waiter
	order []string // organizations with somebody waiting; the first is next
}

// waiter is one change that waits.
type waiter struct {
	ready   chan struct{} // closed when it is its turn
	granted bool
}

func (t Turn) lane() int {
	if t.First {
		return 1
	}
	return 0
}

// take returns when it is the turn of the change. release passes the turn on.
func (q *turns) take(ctx context.Context, t Turn) (release func(), err error) {
	release = func() { q.release(t.lane()) }
	q.mu.Lock()
	l := &q.lanes[t.lane()]
	if !l.taken {
		l.taken = true
		q.mu.Unlock()
		return release, nil
	}
	w := &waiter{ready: make(chan struct{})}
	l.push(t.OrgID, w)
	q.mu.Unlock()
	select {
	case <-w.ready:
		return release, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	granted := w.granted
	if !granted {
		l.remove(t.OrgID, w)
	}
	q.mu.Unlock()
	if granted {
		release()
	}
	return nil, classify("wait for the changes in front", ctx.Err())
}

func (q *turns) release(which int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.lanes[which]
	next := l.pop()
	if next == nil {
		l.taken = false
		return
	}
	next.granted = true
	close(next.ready)
}

func (l *lane) push(org string, w *waiter) {
	if l.byOrg == nil {
		l.byOrg = map[string][]*waiter{}
	}
	if len(l.byOrg[org]) == 0 {
		l.order = append(l.order, org)
	}
	l.byOrg[org] = append(l.byOrg[org], w)
}

// pop removes and returns the first change of the organization whose turn it
// is, which then comes last. It returns nil if nobody waits.
func (l *lane) pop() *waiter {
	if len(l.order) == 0 {
		return nil
	}
	org := l.order[0]
	l.order = l.order[1:]
	waiting := l.byOrg[org]
	if len(waiting) == 1 {
		delete(l.byOrg, org)
	} else {
		l.byOrg[org] = waiting[1:]
		l.order = append(l.order, org)
	}
	return waiting[0]
}

func (l *lane) remove(org string, w *waiter) {
	left := l.byOrg[org][:0:0]
	for _, other := range l.byOrg[org] {
		if other != w {
			left = append(left, other)
		}
	}
	if len(left) > 0 {
		l.byOrg[org] = left
		return
	}
	delete(l.byOrg, org)
	for i, other := range l.order {
		if other == org {
			l.order = append(l.order[:i:i], l.order[i+1:]...)
			return
		}
	}
}
