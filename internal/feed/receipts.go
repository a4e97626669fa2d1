package feed

import (
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	presentFor = 15 * time.Second // what another node says of its followers holds for so long, and is said again every third of it
	ackedFor   = 30 * time.Second // what somebody enforces who is not known to be connected: its node may not have spoken yet
)

// receipts knows which resource servers follow the feed, at this node and at the others, and what each enforces.
type receipts struct {
	node    string
	clock   func() time.Time
	wake    chan struct{} // something waits to be told to the other nodes
	places  places
	waiting places

	mu        sync.Mutex
	over      bool
	byScope   map[string]map[follow]*receipt // by Scope.key: who waits looks at those of its own only
	dirty     [2]map[*receipt]struct{}       // the operator's, and others
	uncounted map[string]uncounted           // by Scope.key
	waiters   map[*waiter]struct{}
}

// uncounted says that some who follow are not counted, for want of room.
type uncounted struct {
	until time.Time
	here  bool // at this node; else another one has said so
}

// follow names one process of one client.
type follow struct{ client, instance string }

// receipt is what is known of it.
type receipt struct {
	Identity
	cursor int64     // what it enforces
	acked  time.Time // when it said so
	at     []presence
}

// presence is a follower's connection to a node. One that polls is connected for some intervals after each time.
type presence struct {
	node    string
	streams int // of this node
	since   time.Time
	until   time.Time // for polls and other nodes; else zero
}

func (p presence) holds(now time.Time) bool { return p.streams > 0 || p.until.After(now) }

// counts says whether it is a connected resource server. One that has not said which instance it is counts once it has confirmed something: before, it
// may be somebody who only looks.
func (r *receipt) counts(now time.Time) bool {
	return (r.Instance != "" || r.cursor > 0) && slices.ContainsFunc(r.at, func(p presence) bool { return p.holds(now) })
}

func newReceipts(node string, limit int, clock func() time.Time) *receipts {
	return &receipts{node: node, clock: clock, wake: make(chan struct{}, 1), places: newPlaces(limit), waiting: newPlaces(maxWaiters),
		byScope: map[string]map[follow]*receipt{}, dirty: [2]map[*receipt]struct{}{{}, {}}, uncounted: map[string]uncounted{}, waiters: map[*waiter]struct{}{}}
}

// find returns the receipt of who, or nil. r.mu is held.
func (r *receipts) find(who Identity) *receipt {
	return r.byScope[who.key()][follow{who.ClientID, who.Instance}]
}

// get finds or makes the receipt of who. If there is no room for it, get
// returns nil and notes for how long who is one that is not counted. r.mu is
// held.
func (r *receipts) get(who Identity, here bool, lasts time.Duration) *receipt {
	one := r.find(who)
	if one == nil {
		if !r.places.take(who.Scope) {
			r.miss(who.key(), here, lasts)
			return nil
		}
		one = &receipt{}
		of := r.byScope[who.key()]
		if of == nil {
			of = map[follow]*receipt{}
			r.byScope[who.key()] = of
		}
		of[follow{who.ClientID, who.Instance}] = one
	} else if who.Name == "" {
		who.Name, who.Audience = one.Name, one.Audience
	}
	one.Identity = who
	return one
}

// miss notes that somebody of a scope is not counted. r.mu is held.
func (r *receipts) miss(key string, here bool, lasts time.Duration) {
	u := r.uncounted[key]
	u.here = u.here || here
	if until := r.clock().Add(lasts); until.After(u.until) {
		u.until = until
	}
	r.uncounted[key] = u
}

// changed tells waiters and the other nodes. r.mu is held.
func (r *receipts) changed(one *receipt, tell bool) {
	now := r.clock()
	for w := range r.waiters {
		w.look(one, now)
	}
	if tell {
		r.tell(one)
	}
}

// tell has a receipt told to the other nodes. r.mu is held.
func (r *receipts) tell(one *receipt) {
	which := 1
	if one.Operator {
		which = 0
	}
	r.dirty[which][one] = struct{}{}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (one *receipt) presence(node string) *presence {
	for i := range one.at {
		if one.at[i].node == node {
			return &one.at[i]
		}
	}
	one.at = append(one.at, presence{node: node})
	return &one.at[len(one.at)-1]
}

// opened counts a stream and reports whether there was room to.
func (r *receipts) opened(who Identity) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.get(who, true, presentFor)
	if one == nil {
		return false
	}
	p := one.presence(r.node)
	if p.streams++; p.streams == 1 && p.until.IsZero() {
		p.since = r.clock()
	}
	r.changed(one, true)
	return true
}

func (r *receipts) closed(who Identity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.find(who)
	if one == nil {
		return
	}
	if p := one.presence(r.node); p.streams > 0 {
		p.streams--
	}
	r.changed(one, true)
}

// polled is for followers that ask again and again: they count as connected for three of their intervals.
func (r *receipts) polled(who Identity, interval time.Duration) {
	lasts := 3 * min(max(interval, time.Second), time.Minute)
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.get(who, true, lasts)
	if one == nil {
		return
	}
	now := r.clock()
	p := one.presence(r.node)
	isNew := !p.holds(now)
	if isNew {
		p.since = now
	}
	p.until = now.Add(lasts)
	r.changed(one, isNew)
}

func (r *receipts) ack(who Identity, cursor int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.get(who, true, presentFor)
	if one == nil {
		return ErrFull
	}
	one.cursor, one.acked = max(one.cursor, cursor), r.clock()
	r.changed(one, true)
	return nil
}

// sweep forgets who is not connected any more.
func (r *receipts) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for scope, of := range r.byScope {
		for key, one := range of {
			before := len(one.at)
			one.at = slices.DeleteFunc(one.at, func(p presence) bool { return !p.holds(now) })
			if len(one.at) < before {
				r.changed(one, true)
			}
			if len(one.at) == 0 && now.Sub(one.acked) > ackedFor {
				delete(of, key)
				r.places.give(one.Scope)
			}
		}
		if len(of) == 0 {
			delete(r.byScope, scope)
		}
	}
	for scope, u := range r.uncounted {
		if !u.until.After(now) {
			delete(r.uncounted, scope)
		}
	}
}

// serving gives the receipts of those who serve a scope's organization: its own
// resource servers and the operator's. r.mu is held.
func (r *receipts) serving(scope Scope) iter.Seq[*receipt] {
	return func(yield func(*receipt) bool) {
		for _, key := range scope.served() {
			for _, one := range r.byScope[key] {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// seen gives the receipts that a scope may know. r.mu is held.
func (r *receipts) seen(scope Scope) iter.Seq[*receipt] {
	return func(yield func(*receipt) bool) {
		for key, of := range r.byScope {
			if !scope.Operator && key != scope.key() {
				continue
			}
			for _, one := range of {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// connected is a resource server that follows, and what it enforces.
type connected struct {
	svcauth.ResourceServer
	scope  Scope
	cursor int64
}

// list gives the connected resource servers that the scope may know.
func (r *receipts) list(scope Scope) []connected {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	var out []connected
	for one := range r.seen(scope) {
		if !one.counts(now) {
			continue
		}
		last := one.at[0]
		for _, p := range one.at {
			if p.holds(now) && (!last.holds(now) || p.since.After(last.since)) {
				last = p
			}
		}
		rs := svcauth.ResourceServer{Name: one.Name, Audience: one.Audience, ClientID: one.ClientID, Instance: one.Instance, Node: last.node,
			Cursor: strconv.FormatInt(one.cursor, 10), ConnectedAt: last.since.UTC()}
		out = append(out, connected{rs, one.Scope, one.cursor})
	}
	return out
}
