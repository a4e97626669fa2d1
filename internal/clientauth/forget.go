package clientauth

import (
	"sync"
	"sync/atomic"

	"github.com/svcauth/svcauth/internal/store"
)

// Apply forgets the clients that entries of the change log are about.
func (c *Clients) Apply(entries []store.Change) {
	roles := map[string]bool{}
	for _, e := range entries {
		switch e.Kind {
		case store.ChangeClient:
			c.forget(e.Subject)
		case store.ChangeRole:
			roles[e.Subject] = true
		case store.ChangeOrg:
			c.forgetOrganization(e.Subject)
		case store.ChangeCatalog:
			c.Reset()
		}
	}
	if len(roles) > 0 {
		c.forgetHolders(roles)
	}
}

// Reset forgets all clients.
func (c *Clients) Reset() {
	c.under.outdateAll()
	c.cache.InvalidateAll()
}

func (c *Clients) forget(id string) {
	c.under.outdate(id)
	c.cache.Invalidate(id)
}

// forgetHolders forgets the clients that hold one of the roles. It looks at
// every client in memory: a few milliseconds for 100,000.
func (c *Clients) forgetHolders(roles map[string]bool) {
	c.under.outdateAll()
	for id, client := range c.cache.All() {
		if rights := client.rights.Load(); rights != nil && (*rights).OfRole(roles) {
			c.cache.Invalidate(id)
		}
	}
}

// forgetOrganization forgets the clients of one organization, which may be
// gone. It looks at every client in memory.
func (c *Clients) forgetOrganization(id string) {
	c.under.outdateAll()
	for key, client := range c.cache.All() {
		if client.OrgID == id {
			c.cache.Invalidate(key)
		}
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
	id       string
	outdated atomic.Bool
}

func (u *underway) begin(id string) *reading {
	r := &reading{id: id}
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

// outdate looks at all reads: there are few, as each has a connection to the
// database.
func (u *underway) outdate(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for r := range u.reads {
		if r.id == id {
			r.outdated.Store(true)
		}
	}
}

func (u *underway) outdateAll() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for r := range u.reads {
		r.outdated.Store(true)
	}
}
