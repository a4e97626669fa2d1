package cache

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
)

// MaxOnceFor is for how long what may be used once is remembered here. Whatever
// must be for longer is the database's.
const MaxOnceFor = 6 * time.Minute

const (
	maxOnce     = 1 << 17 // in this process, of about 150 bytes each
	maxOnceEach = 10_000  // of one client
)

// onceBound is how many uses of each organization are remembered, if it leaves
// enough to others, and so does each of its clients. What is beyond is asked
// for in the database, and that client's alone.
var onceBound = limits.Bound{Total: maxOnce, Each: maxOnce / 8, Reserved: maxOnce / 4}

// Owner is whose use something is. Operator reports that the organization is
// the operator's.
type Owner struct {
	Client, Org string
	Operator    bool
}

// Use is what [Cache.OnceHere] found out.
type Use int

// The outcomes of [Cache.OnceHere].
const (
	UseFirst   Use = iota // nobody has used it, as far as this process knows
	UseAgain              // somebody has
	UseTooMany            // the client has used too many that are not over
	// UseUnknown is: it is remembered from now on, but there was no room for
	// others of the client that are not over.
	UseUnknown
	UseNoRoom // there is no room to remember it here
)

// OnceHere records the use of something that a client may use once until a
// moment, which this process remembers for at most [MaxOnceFor].
func (c *Cache) OnceHere(owner Owner, id [32]byte, until time.Time) Use {
	return c.once.take(owner, id, until)
}

// OnceAmongNodes asks Redis about what others remember in this process: it
// reports whether no node has used the id, which this one asks about once. Redis
// may forget. The error says that it was of no help.
func (c *Cache) OnceAmongNodes(ctx context.Context, id [32]byte, until time.Time) (first bool, err error) {
	if c.remote == nil {
		return false, ErrUnavailable
	}
	shared := &SharedUse{ID: id, Until: until}
	if err := c.sharedOnce.batch.Do(ctx, shared); err != nil {
		return false, err
	}
	return !shared.Again, shared.Err
}

// SharedUse is a use that Redis is asked about.
type SharedUse struct {
	ID    [32]byte // a [UseID]
	Until time.Time

	Again bool  // it was used before
	Err   error // [ErrUnavailable]: Redis was of no help

	key, own string
}

// MaxSharedUses is how many uses [Cache.OnceShared] takes at once.
const MaxSharedUses = 64

// OnceShared asks Redis about up to [MaxSharedUses] uses; of two with one id the
// second is not the first. Redis may forget: who must be sure asks the database,
// too. Without Redis it does nothing.
func (c *Cache) OnceShared(ctx context.Context, uses []*SharedUse) {
	if c.remote != nil {
		c.sharedOnce.ask(ctx, uses)
	}
}

// RemembersSince returns since when this process has seen that Redis has every
// use that nodes have asked it about: uses from before may be missing there. A
// node that had to do without Redis says so a second later, or has others do it
// ([Cache.Lacks]). The error is [ErrUnavailable] if Redis does not say.
func (c *Cache) RemembersSince(ctx context.Context) (time.Time, error) {
	if c.remote == nil {
		return time.Time{}, ErrUnavailable
	}
	return c.sharedOnce.remembers.since(ctx)
}

// Lacks says that Redis may lack a use, of a node that does not reach it.
func (c *Cache) Lacks() {
	if c.remote != nil {
		c.sharedOnce.remembers.lacks.Store(true)
	}
}

// Forget takes back a use that this process has recorded, since what it was for
// did not happen.
func (c *Cache) Forget(id [32]byte) { c.once.forget(id) }

// Remember notes in this process a use that was made before it began, for
// [MaxOnceFor] at least: the clock may be ahead. It reports false if there is no
// room.
func (c *Cache) Remember(owner Owner, id [32]byte, until time.Time) bool {
	use := c.once.take(owner, id, until)
	c.once.keep(id)
	return use == UseFirst || use == UseAgain
}

// Unsure says that what this process does not remember may have been used all
// the same, until a moment: for [MaxOnceFor] at most, as long as it would
// remember.
func (c *Cache) Unsure(until time.Time) {
	m := c.once
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsure.addAll(bounded(until, m.clock()))
}

// UseID returns what stands for the use of something by a client.
func UseID(clientID, what string) [32]byte { return sha256.Sum256([]byte(clientID + "\x00" + what)) }

// onceMemory remembers uses in this process.
type onceMemory struct {
	clock  func() time.Time
	passed func(now time.Time) time.Duration // on the monotonic clock, which nobody sets

	mu   sync.Mutex
	byID map[[32]byte]*onceUse
	each map[string]int // by client
	of   *limits.Shares[string]
	ends onceHeap

	unsure doubts
}

type onceUse struct {
	id    [32]byte
	owner Owner
	until time.Time
	over  time.Duration // the same by what has passed
	at    int           // in ends
}

func newOnceMemory(clock func() time.Time) *onceMemory {
	began := clock()
	passed := func(now time.Time) time.Duration { return now.Sub(began) }
	return &onceMemory{clock: clock, passed: passed, byID: map[[32]byte]*onceUse{}, each: map[string]int{},
		of: limits.NewShares[string](onceBound), unsure: doubts{of: map[string]*doubt{}}}
}

func (m *onceMemory) take(owner Owner, id [32]byte, until time.Time) Use {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	passed := m.passed(now)
	for len(m.ends) > 0 && !m.ends[0].until.After(now) {
		use := m.ends[0]
		if left := use.over - passed; left > 0 {
			// It is over because the clock was set ahead, and could be used
			// again once that is right.
			use.until = now.Add(left)
			heap.Fix(&m.ends, use.at)
			continue
		}
		m.drop(use)
	}
	until = bounded(until, now)
	switch {
	case m.byID[id] != nil:
		return UseAgain
	case m.each[owner.Client] >= maxOnceEach:
		return UseTooMany
	case !m.leaves(owner) || !m.of.Take(owner.Org, 1, owner.Operator):
		m.unsure.add(owner, until, now)
		return UseNoRoom
	}
	use := &onceUse{id: id, owner: owner, until: until, over: passed + until.Sub(now)}
	m.byID[id] = use
	m.each[owner.Client]++
	heap.Push(&m.ends, use)
	if m.unsure.about(owner, now) {
		return UseUnknown
	}
	return UseFirst
}

// keep has a use remembered for [MaxOnceFor] from now on.
func (m *onceMemory) keep(id [32]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if use := m.byID[id]; use != nil {
		use.over = m.passed(m.clock()) + MaxOnceFor
	}
}

// bounded returns until when a use is remembered.
func bounded(until, now time.Time) time.Time {
	if latest := now.Add(MaxOnceFor); until.After(latest) {
		return latest
	}
	return until
}

// leaves reports whether one more use leaves to others at least half of what
// its owner has then: to the clients of the organization, and to the
// organizations. So of a few that take all they get, none shuts another one out.
func (m *onceMemory) leaves(o Owner) bool {
	leaves := func(has, left int) bool { return has+1 <= 2*(left-1) }
	return leaves(m.each[o.Client], m.of.Left(o.Org, o.Operator)) &&
		(o.Operator || leaves(m.of.Held(o.Org), m.of.Left("", false)))
}

func (m *onceMemory) forget(id [32]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if use := m.byID[id]; use != nil {
		m.drop(use)
	}
}

func (m *onceMemory) drop(use *onceUse) {
	heap.Remove(&m.ends, use.at)
	delete(m.byID, use.id)
	m.of.Give(use.owner.Org, 1)
	if m.each[use.owner.Client]--; m.each[use.owner.Client] <= 0 {
		delete(m.each, use.owner.Client)
	}
}

// onceHeap has the use that ends first at its front.
type onceHeap []*onceUse

func (h onceHeap) Len() int           { return len(h) }
func (h onceHeap) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h onceHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements [heap.Interface].
func (h *onceHeap) Push(x any) {
	use := x.(*onceUse)
	use.at = len(*h)
	*h = append(*h, use)
}

// Pop implements [heap.Interface].
func (h *onceHeap) Pop() any {
	last := len(*h) - 1
	use := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return use
}
