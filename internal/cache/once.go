package cache

import (
	"container/heap"
	"context"
	"crypto/sha256"
	"maps"
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

// onceBound is how many uses of each organization are remembered. What is
// beyond is asked for in the database, and that organization's alone.
var onceBound = limits.Bound{Total: maxOnce, Each: maxOnce / 8, Reserved: maxOnce / 4}

// Owner is whose use something is. Operator reports that the organization is
// the operator's.
type Owner struct {
	Client, Org string
	Operator    bool
}

// Use is what [Cache.Once] found out.
type Use int

// The outcomes of [Cache.Once].
const (
	UseFirst   Use = iota // nobody has used it, as far as is known
	UseAgain              // somebody has
	UseTooMany            // the client has used too many that are not over
	// UseUnknown is: there is no room to remember it here, or was none for
	// others of the organization that are not over.
	UseUnknown
)

// Once records the use of something that a client may use once until a moment,
// which is remembered for at most [MaxOnceFor]. It always asks what this
// process remembers and, with Redis, what all nodes do. If the error is
// [ErrUnavailable], Redis was of no help: the outcome is this process's own.
//
// Redis may forget: who must be sure asks the database, too.
func (c *Cache) Once(ctx context.Context, owner Owner, what string, until time.Time) (Use, error) {
	id := UseID(owner.Client, what)
	use := c.OnceHere(owner, id, until)
	if use != UseFirst && use != UseUnknown || c.remote == nil {
		return use, nil
	}
	shared := &SharedUse{ID: id, Until: until}
	if err := c.sharedOnce.batch.Do(ctx, shared); err != nil {
		return use, err
	}
	if shared.Again {
		return UseAgain, nil
	}
	return use, shared.Err
}

// OnceHere is [Cache.Once] by what this process remembers.
func (c *Cache) OnceHere(owner Owner, id [32]byte, until time.Time) Use {
	return c.once.take(owner, id, until)
}

// OnceAmongNodes is the part of [Cache.Once] that asks Redis, for what others
// remember in this process: it reports whether no node has used the id, which
// this one asks about once. An error says that Redis was of no help.
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

// OnceShared is the part of [Cache.Once] that asks Redis, for up to
// [MaxSharedUses] uses, which must differ in their ids. Without Redis it does
// nothing.
func (c *Cache) OnceShared(ctx context.Context, uses []*SharedUse) {
	if c.remote != nil {
		c.sharedOnce.ask(ctx, uses)
	}
}

// Forget takes back a use that this process has recorded, since what it was for
// did not happen.
func (c *Cache) Forget(id [32]byte) { c.once.forget(id) }

// Remember notes in this process a use that was made before it began. It
// reports false if there is no room.
func (c *Cache) Remember(owner Owner, id [32]byte, until time.Time) bool {
	use := c.once.take(owner, id, until)
	return use == UseFirst || use == UseAgain
}

// Unsure says that what this process does not remember may have been used all
// the same, until a moment: for [MaxOnceFor] at most, as long as it would
// remember.
func (c *Cache) Unsure(until time.Time) {
	c.once.mu.Lock()
	defer c.once.mu.Unlock()
	c.once.doubtAll(until)
}

// UseID returns what stands for the use of something by a client.
func UseID(clientID, what string) [32]byte { return sha256.Sum256([]byte(clientID + "\x00" + what)) }

// onceMemory remembers uses in this process.
type onceMemory struct {
	clock func() time.Time

	mu   sync.Mutex
	byID map[[32]byte]*onceUse
	each map[string]int // by client
	of   *limits.Shares[string]
	ends onceHeap

	// Until then there may be uses that there was no room for: what is not
	// remembered may be one of them. It is so for an organization, or for all.
	unsure    map[string]time.Time
	unsureAll time.Time
}

type onceUse struct {
	id    [32]byte
	owner Owner
	until time.Time
	at    int // in ends
}

func newOnceMemory(clock func() time.Time) *onceMemory {
	return &onceMemory{clock: clock, byID: map[[32]byte]*onceUse{}, each: map[string]int{},
		of: limits.NewShares[string](onceBound), unsure: map[string]time.Time{}}
}

func (m *onceMemory) take(owner Owner, id [32]byte, until time.Time) Use {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	for len(m.ends) > 0 && !m.ends[0].until.After(now) {
		m.drop(m.ends[0])
	}
	until = bounded(until, now)
	switch {
	case m.byID[id] != nil:
		return UseAgain
	case m.each[owner.Client] >= maxOnceEach:
		return UseTooMany
	case !m.of.Take(owner.Org, 1, owner.Operator):
		m.doubt(owner.Org, until, now)
		return UseUnknown
	}
	use := &onceUse{id: id, owner: owner, until: until}
	m.byID[id] = use
	m.each[owner.Client]++
	heap.Push(&m.ends, use)
	if now.Before(m.unsureAll) || now.Before(m.unsure[owner.Org]) {
		return UseUnknown
	}
	return UseFirst
}

// bounded returns until when a use is remembered.
func bounded(until, now time.Time) time.Time {
	if latest := now.Add(MaxOnceFor); until.After(latest) {
		return latest
	}
	return until
}

// maxUnsure is of how many organizations it is known that they are unsure.
const maxUnsure = 1 << 12

// doubt notes that a use of an organization is not remembered.
func (m *onceMemory) doubt(orgID string, until, now time.Time) {
	if len(m.unsure) >= maxUnsure {
		maps.DeleteFunc(m.unsure, func(_ string, end time.Time) bool { return !end.After(now) })
	}
	switch {
	case len(m.unsure) >= maxUnsure:
		m.doubtAll(until)
	case until.After(m.unsure[orgID]):
		m.unsure[orgID] = until
	}
}

func (m *onceMemory) doubtAll(until time.Time) {
	if until = bounded(until, m.clock()); until.After(m.unsureAll) {
		m.unsureAll = until
	}
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
