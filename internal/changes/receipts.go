package changes

import (
	"cmp"
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
	node  string
	limit int
	clock func() time.Time
	wake  chan struct{} // something waits to be told to the other nodes

	mu      sync.Mutex
	over    bool
	all     map[follow]*receipt
	perOrg  map[string]int
	dirty   map[follow]struct{}
	waiters map[*waiter]struct{}
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
	return &receipts{node: node, limit: max(limit, 16), clock: clock, wake: make(chan struct{}, 1), all: map[follow]*receipt{}, perOrg: map[string]int{},
		dirty: map[follow]struct{}{}, waiters: map[*waiter]struct{}{}}
}

// get finds or makes the receipt of who; nil where there are too many. An organization that is not the operator's may have a quarter of them. r.mu is held.
func (r *receipts) get(who Identity) *receipt {
	key := follow{who.ClientID, who.Instance}
	one := r.all[key]
	if one == nil {
		if len(r.all) >= r.limit || !who.Operator && r.perOrg[who.OrgID] >= r.limit/4 {
			return nil
		}
		one = &receipt{}
		r.all[key] = one
		r.perOrg[who.OrgID]++
	} else if who.Name == "" {
		who.Name, who.Audience = one.Name, one.Audience
	}
	one.Identity = who
	return one
}

// changed tells waiters and the other nodes. r.mu is held.
func (r *receipts) changed(one *receipt, tell bool) {
	key := follow{one.ClientID, one.Instance}
	now := r.clock()
	for w := range r.waiters {
		w.look(key, one, now)
	}
	if !tell {
		return
	}
	r.dirty[key] = struct{}{}
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

func (r *receipts) opened(who Identity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.get(who)
	if one == nil {
		return
	}
	p := one.presence(r.node)
	if p.streams++; p.streams == 1 && p.until.IsZero() {
		p.since = r.clock()
	}
	r.changed(one, true)
}

func (r *receipts) closed(who Identity) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.all[follow{who.ClientID, who.Instance}]
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
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.get(who)
	if one == nil {
		return
	}
	now := r.clock()
	p := one.presence(r.node)
	isNew := !p.holds(now)
	if isNew {
		p.since = now
	}
	p.until = now.Add(3 * min(max(interval, time.Second), time.Minute))
	r.changed(one, isNew)
}

func (r *receipts) ack(who Identity, cursor int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.get(who)
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
	for key, one := range r.all {
		before := len(one.at)
		one.at = slices.DeleteFunc(one.at, func(p presence) bool { return !p.holds(now) })
		if len(one.at) < before {
			r.changed(one, true)
		}
		if len(one.at) == 0 && now.Sub(one.acked) > ackedFor {
			delete(r.all, key)
			if r.perOrg[one.OrgID]--; r.perOrg[one.OrgID] <= 0 {
				delete(r.perOrg, one.OrgID)
			}
		}
	}
}

// list gives the connected resource servers of the scope by name and instance. behind says of a cursor how many revocations came after it that the scope may see, and
// since when the first of them has been waiting.
func (r *receipts) list(scope Scope, behind func(Scope, int64) (int64, time.Time)) []svcauth.ResourceServer {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	out := []svcauth.ResourceServer{}
	for _, one := range r.all {
		if !scope.sees(one.OrgID) || !one.counts(now) {
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
		var oldest time.Time
		if rs.Behind, oldest = behind(one.Scope, one.cursor); rs.Behind > 0 {
			rs.LagMS = max(0, now.Sub(oldest).Milliseconds())
		}
		out = append(out, rs)
	}
	slices.SortFunc(out, func(a, b svcauth.ResourceServer) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Instance, b.Instance))
	})
	return out
}
