package feed

import (
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	// presentFor is how long what another node says of its subscribers holds.
	// It is said again every third of that.
	presentFor = 15 * time.Second
	// ackedFor is how long a receipt is kept whose sender is not known to be
	// connected: its node may not have spoken yet.
	ackedFor = 30 * time.Second
)

// receipts knows which resource servers subscribe to the feed, at this node and
// at the others, and what each enforces.
type receipts struct {
	node    string
	shared  bool // other nodes hear of them
	clock   func() time.Time
	wake    chan struct{} // there is something to send to the other nodes
	slots   slots
	waiting slots

	mu        sync.Mutex
	over      bool
	byScope   map[string]map[process]*receipt // by Scope.key: a wait looks at those of its own only
	outgoing  [2]map[*receipt]struct{}        // to be sent: the operator's, and others
	wanted    map[string]int64                // to be told to the other nodes, see Feed.wanted
	uncounted map[string]uncounted            // by Scope.key
	waiters   map[*waiter]struct{}
}

// uncounted says that some subscribers are not counted, for want of room.
type uncounted struct {
	until time.Time
	here  bool // at this node; else another one has said so
}

// process names one process of one client.
type process struct{ client, instance string }

// receipt is what is known of a subscriber.
type receipt struct {
	Subscriber
	cursor int64     // what it enforces
	acked  time.Time // when it said so
	at     []presence
}

// presence is a subscriber's connection to a node. One that polls is connected
// for some intervals after each time.
type presence struct {
	node    string
	streams int // of this node
	since   time.Time
	until   time.Time // for polls and other nodes; else zero
}

func (p presence) holds(now time.Time) bool { return p.streams > 0 || p.until.After(now) }

// counts reports whether it is a connected resource server. One that has not
// said which instance it is counts once it has confirmed something. Before
// that, it may be somebody who only looks.
func (r *receipt) counts(now time.Time) bool {
	if r.Instance == "" && r.cursor == 0 {
		return false
	}
	return slices.ContainsFunc(r.at, func(p presence) bool { return p.holds(now) })
}

// presence finds or makes the receipt's connection to a node.
func (r *receipt) presence(node string) *presence {
	for i := range r.at {
		if r.at[i].node == node {
			return &r.at[i]
		}
	}
	r.at = append(r.at, presence{node: node})
	return &r.at[len(r.at)-1]
}

func newReceipts(node string, shared bool, limit int, clock func() time.Time) *receipts {
	return &receipts{
		node:      node,
		shared:    shared,
		clock:     clock,
		wake:      make(chan struct{}, 1),
		slots:     newSlots(limit),
		waiting:   newSlots(maxWaiters),
		byScope:   map[string]map[process]*receipt{},
		outgoing:  [2]map[*receipt]struct{}{{}, {}},
		wanted:    map[string]int64{},
		uncounted: map[string]uncounted{},
		waiters:   map[*waiter]struct{}{},
	}
}

// find returns the receipt of a subscriber, or nil. r.mu is held.
func (r *receipts) find(who Subscriber) *receipt {
	return r.byScope[who.key()][process{who.ClientID, who.Instance}]
}

// get finds or makes the receipt of a subscriber. If there is no room for it,
// get returns nil and records for how long who is not counted. r.mu is held.
func (r *receipts) get(who Subscriber, here bool, lasts time.Duration) *receipt {
	one := r.find(who)
	if one == nil {
		if !r.slots.take(who.Scope) {
			r.markUncounted(who.key(), here, lasts)
			return nil
		}
		one = &receipt{}
		processes := r.byScope[who.key()]
		if processes == nil {
			processes = map[process]*receipt{}
			r.byScope[who.key()] = processes
		}
		processes[process{who.ClientID, who.Instance}] = one
	} else if who.Name == "" {
		who.Name, who.Audience, who.Version = one.Name, one.Audience, one.Version
	}
	one.Subscriber = who
	return one
}

// markUncounted records that a subscriber of a scope is not counted. r.mu is
// held.
func (r *receipts) markUncounted(key string, here bool, lasts time.Duration) {
	u := r.uncounted[key]
	u.here = u.here || here
	if until := r.clock().Add(lasts); until.After(u.until) {
		u.until = until
	}
	r.uncounted[key] = u
}

// changed tells the waiters that a receipt has changed. r.mu is held.
func (r *receipts) changed(one *receipt) {
	now := r.clock()
	for w := range r.waiters {
		w.update(one, now)
	}
}

// changedHere tells the waiters and the other nodes. r.mu is held.
func (r *receipts) changedHere(one *receipt) {
	r.changed(one)
	r.enqueue(one)
}

// opened counts a stream and reports whether there was room for its receipt.
func (r *receipts) opened(who Subscriber) bool {
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
	r.changedHere(one)
	return true
}

func (r *receipts) closed(who Subscriber) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.find(who)
	if one == nil {
		return
	}
	if p := one.presence(r.node); p.streams > 0 {
		p.streams--
	}
	r.changedHere(one)
}

// polled counts a subscriber that polls as connected for three of its
// intervals.
func (r *receipts) polled(who Subscriber, interval time.Duration) {
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
	r.changed(one)
	if isNew {
		r.enqueue(one)
	}
}

func (r *receipts) ack(who Subscriber, cursor int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.get(who, true, presentFor)
	if one == nil {
		return ErrFull
	}
	one.cursor, one.acked = max(one.cursor, cursor), r.clock()
	r.changedHere(one)
	return nil
}

// sweep forgets who is not connected any more.
func (r *receipts) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for key, processes := range r.byScope {
		for name, one := range processes {
			before := len(one.at)
			one.at = slices.DeleteFunc(one.at, func(p presence) bool { return !p.holds(now) })
			if len(one.at) < before {
				r.changedHere(one)
			}
			if len(one.at) == 0 && now.Sub(one.acked) > ackedFor {
				delete(processes, name)
				r.slots.release(one.Scope)
			}
		}
		if len(processes) == 0 {
			delete(r.byScope, key)
		}
	}
	for key, u := range r.uncounted {
		if !u.until.After(now) {
			delete(r.uncounted, key)
		}
	}
}

// serving returns the receipts of those who serve a scope's organization: its
// own resource servers and the operator's. r.mu is held.
func (r *receipts) serving(scope Scope) iter.Seq[*receipt] {
	return func(yield func(*receipt) bool) {
		for _, key := range scope.servedBy() {
			for _, one := range r.byScope[key] {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// visible returns the receipts that a scope may know. r.mu is held.
func (r *receipts) visible(scope Scope) iter.Seq[*receipt] {
	return func(yield func(*receipt) bool) {
		for key, processes := range r.byScope {
			if !scope.Operator && key != scope.key() {
				continue
			}
			for _, one := range processes {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// listing is a connected resource server, and what it enforces.
type listing struct {
	svcauth.ResourceServer
	scope  Scope
	cursor int64
}

// list returns the connected resource servers that the scope may know.
func (r *receipts) list(scope Scope) []listing {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	var out []listing
	for one := range r.visible(scope) {
		if !one.counts(now) {
			continue
		}
		last := one.at[0]
		for _, p := range one.at {
			if p.holds(now) && (!last.holds(now) || p.since.After(last.since)) {
				last = p
			}
		}
		out = append(out, listing{scope: one.Scope, cursor: one.cursor, ResourceServer: svcauth.ResourceServer{
			Name: one.Name, Audience: one.Audience, ClientID: one.ClientID, Instance: one.Instance,
			Node: last.node, Cursor: formatCursor(one.cursor), ConnectedAt: last.since.UTC(),
			Version: one.Version, ChecksBindings: wire.ChecksBindings(one.Version),
		}})
	}
	return out
}
