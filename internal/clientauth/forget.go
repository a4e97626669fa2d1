package clientauth

import (
	"sync"
	"sync/atomic"

	"github.com/svcauth/svcauth/internal/store"
)

// Apply forgets the clients that entries of the change log are about.
func (c *Clients) Apply(entries []store.Change) {
	for _, e := range entries {
		switch e.Kind {
		case store.ChangeClient:
			c.forget(e.Subject)
		case store.ChangeRole:
			c.changes.changed(e.OrgID)
		case store.ChangeOrg:
			c.changes.changed(e.Subject)
		case store.ChangeCatalog:
			c.Reset()
		}
	}
}

// Reset forgets all clients.
func (c *Clients) Reset() {
	c.changes.allChanged()
	c.under.outdateAll()
	c.cache.InvalidateAll()
}

func (c *Clients) forget(id string) {
	c.under.outdate(id)
	c.cache.Invalidate(id)
}

// Moment is from when on something is known of an organization. The zero Moment
// is never outdated.
type Moment struct {
	at      int64
	changed *atomic.Int64
}

// Outdated reports whether the organization, one of its roles or the catalogue
// has changed since.
func (m Moment) Outdated() bool { return m.changed != nil && m.changed.Load() > m.at }

// Older returns the older one of two moments of one organization.
func (m Moment) Older(other Moment) Moment {
	if other.at < m.at {
		return other
	}
	return m
}

// changes says when organizations have last changed, as this node has heard of
// it. Organizations that share a place by chance are outdated together: what is
// known of them is then read once more than it must be. So a change costs the
// same however many clients are in memory.
type changes struct {
	now  atomic.Int64
	last [1 << 14]atomic.Int64
}

func (c *changes) place(orgID string) *atomic.Int64 {
	hash := uint32(2166136261) // FNV-1a: nobody chooses the id of an organization
	for i := 0; i < len(orgID); i++ {
		hash = (hash ^ uint32(orgID[i])) * 16777619
	}
	return &c.last[hash%uint32(len(c.last))]
}

// moment returns the Moment of what was read of an organization. at is what now
// was before the reading began.
func (c *changes) moment(orgID string, at int64) Moment { return Moment{at, c.place(orgID)} }

func (c *changes) changed(orgID string) {
	if orgID == "" { // an entry of a release that did not say whose it is
		c.allChanged()
		return
	}
	c.place(orgID).Store(c.now.Add(1))
}

func (c *changes) allChanged() {
	now := c.now.Add(1)
	for i := range c.last {
		c.last[i].Store(now)
	}
}

// underway knows the reads that have begun, by client. What was read while its
// client changed is not kept. Whoever forgets a client first outdates its reads
// and then takes it out of memory; whoever reads puts it there first, and then
// looks whether it was outdated.
type underway struct {
	mu    sync.Mutex
	reads map[*reading]struct{}
}

// reading is one read that has begun.
type reading struct {
	mu  sync.Mutex
	ids map[string]bool // of clients; true: outdated
}

func (u *underway) begin(ids []string) *reading {
	r := &reading{ids: make(map[string]bool, len(ids))}
	for _, id := range ids {
		r.ids[id] = false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.reads == nil {
		u.reads = map[*reading]struct{}{}
	}
	u.reads[r] = struct{}{}
	return r
}

func (u *underway) end(r *reading) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.reads, r)
}

// outdate looks at all reads: there are few, see [store.Gathered].
func (u *underway) outdate(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for r := range u.reads {
		r.outdate(func(other string) bool { return other == id })
	}
}

func (u *underway) outdateAll() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for r := range u.reads {
		r.outdate(func(string) bool { return true })
	}
}

func (r *reading) outdate(which func(id string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.ids {
		r.ids[id] = r.ids[id] || which(id)
	}
}

func (r *reading) outdated(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[id]
}
