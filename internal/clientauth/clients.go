package clientauth

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ClientsConfig is what [Clients] stands on.
type ClientsConfig struct {
	Store      *store.Store
	Bound      int // how many are kept in memory
	ChangeLog  ChangeLog
	ServeStale time.Duration // for how long clients are served while the change log can't be read
	Observer   Observer      // nil: nobody counts
	Clock      func() time.Time
}

// ChangeLog is what keeps the snapshots current.
type ChangeLog interface {
	// Behind returns for how long nothing has been read of the change log.
	Behind() time.Duration
}

// Observer counts what happens here, for the metrics.
type Observer interface {
	// ClientLookup counts that a client was in memory, or was not.
	ClientLookup(hit bool)
}

// Clients keeps snapshots of clients in memory, and for a moment also that
// there is none with an id, and beside them the roles that they hold. Those
// that requests ask for at once are read together. It is safe for concurrent
// use.
type Clients struct {
	cfg     ClientsConfig
	cache   *otter.Cache[string, *Client]
	changes changes
	under   underway
	load    func(context.Context, []string) (map[string]*store.Credentials, error)
	reads   *store.Gathered[clientRead, *Client]
	roles   *roles
}

// clientRead asks for a client, because of a wrong proof that came from a
// network, or for another reason.
type clientRead struct {
	id      string
	network netip.Addr
}

// minClients is the least bound.
const minClients = 100

// NewClients returns Clients that has none in memory.
func NewClients(cfg ClientsConfig) *Clients {
	c := &Clients{
		cfg:   cfg,
		cache: otter.Must(&otter.Options[string, *Client]{MaximumSize: max(cfg.Bound, minClients)}),
	}
	c.load = func(ctx context.Context, ids []string) (map[string]*store.Credentials, error) {
		return cfg.Store.Read().CredentialsOfClients(ctx, ids)
	}
	c.reads = store.NewGathered(cfg.Store, c.read)
	c.roles = newRoles(c)
	return c
}

// staleSlack is for the normal distance between two readings of the change log.
const staleSlack = 5 * time.Second

// Stale reports whether the change log has been silent for longer than
// ServeStale. No client is served then, in memory or not.
func (c *Clients) Stale() bool { return c.cfg.ChangeLog.Behind() > c.cfg.ServeStale+staleSlack }

// Get returns the client with an id, from memory if it is there. If nobody has
// the id, the client is not Known. An error is an [*oautherr.Error].
func (c *Clients) Get(ctx context.Context, id string) (*Client, error) {
	if !svcauth.ValidClientID(id) {
		return newClient(&store.Credentials{}, c.cfg.Clock(), false), nil
	}
	if c.Stale() {
		return nil, oautherr.Unavailable(errors.New("the change log has been silent for longer than token.serve_stale"))
	}
	client, hit := c.cache.GetIfPresent(id)
	hit = hit && !client.since.Outdated()
	var err error
	if !hit {
		client, err = c.reads.Do(ctx, clientRead{id: id})
	}
	if c.cfg.Observer != nil {
		c.cfg.Observer.ClientLookup(hit)
	}
	if err != nil {
		return nil, oautherr.From(err)
	}
	return client, nil
}

// FromOperator reports whether a client is in memory as one of the operator's
// organization.
func (c *Clients) FromOperator(id string) bool {
	client, ok := c.cache.GetIfPresent(id)
	return ok && client.Operator
}

// Now is to be asked before something is read of an organization, see
// [Clients.Known].
func (c *Clients) Now() int64 { return c.changes.now.Load() }

// Known returns the Moment of what was read of an organization, after Now was
// at.
func (c *Clients) Known(orgID string, at int64) Moment { return c.changes.moment(orgID, at) }

// reread reads a client past what is in memory, because of a wrong proof that
// came from a network.
func (c *Clients) reread(ctx context.Context, id string, network netip.Addr) (*Client, error) {
	return c.reads.Do(ctx, clientRead{id, network})
}

// read reads some clients and keeps them. If that fails the old ones stay. For
// an id that nobody has it keeps a client that is not Known.
func (c *Clients) read(ctx context.Context, asked []clientRead) ([]*Client, error) {
	ids := make([]string, len(asked))
	for i, r := range asked {
		ids[i] = r.id
	}
	began, at := c.Now(), c.cfg.Clock()
	work := c.under.begin(ids)
	defer c.under.end(work)
	rows, err := c.load(ctx, slices.Compact(slices.Sorted(slices.Values(ids))))
	if err != nil {
		return nil, err
	}
	clients := make([]*Client, len(asked))
	for i, r := range asked {
		row, known := rows[r.id]
		if !known {
			row = &store.Credentials{ClientID: r.id}
		}
		client := newClient(row, at, known)
		client.since, client.rereadFor = c.Known(row.OrgID, began), r.network
		clients[i] = client
		c.keep(client)
		if work.outdated(r.id) {
			c.cache.Invalidate(r.id)
		}
	}
	return clients, nil
}

// keep puts a client that was just read into memory. If nothing has changed its
// rights stay: a stranger's wrong proof must not make a node forget whom it
// serves while the database is away or slow.
func (c *Clients) keep(client *Client) {
	old, ok := c.cache.GetIfPresent(client.ClientID)
	if ok && old.Rights() != nil && old.Same(client.Credentials) {
		client.Keep(old.Rights())
	}
	c.cache.Set(client.ClientID, client)
}
