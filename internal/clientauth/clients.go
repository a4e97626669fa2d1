package clientauth

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
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
// there is none with an id. Requests that ask for the same one at once share
// one read. It is safe for concurrent use.
type Clients struct {
	cfg    ClientsConfig
	cache  *otter.Cache[string, *Client]
	under  underway
	load   func(context.Context, string) (*Client, error)
	reads  *store.Shared[string, *Client]
	again  *store.Shared[string, *Client]
	rights *store.Shared[*Client, Rights]
}

// minClients is the least bound.
const minClients = 100

// NewClients returns Clients that has none in memory.
func NewClients(cfg ClientsConfig) *Clients {
	c := &Clients{
		cfg:    cfg,
		cache:  otter.Must(&otter.Options[string, *Client]{MaximumSize: max(cfg.Bound, minClients)}),
		reads:  store.NewShared[string, *Client](cfg.Store),
		again:  store.NewShared[string, *Client](cfg.Store),
		rights: store.NewShared[*Client, Rights](cfg.Store),
	}
	c.load = c.fromStore
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
	var err error
	if !hit {
		client, err = c.reads.Do(ctx, id, func(ctx context.Context) (*Client, error) {
			return c.read(ctx, id, netip.Addr{})
		})
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

// reread reads a client past what is in memory, because of a wrong proof that
// came from a network.
func (c *Clients) reread(ctx context.Context, id string, network netip.Addr) (*Client, error) {
	return c.again.Do(ctx, id, func(ctx context.Context) (*Client, error) { return c.read(ctx, id, network) })
}

// read reads a client and keeps it. If that fails the old one stays. If nothing
// has changed its rights stay, too: a stranger's wrong proof must not make a
// node forget whom it serves while the database is away or slow.
func (c *Clients) read(ctx context.Context, id string, network netip.Addr) (*Client, error) {
	work := c.under.begin(id)
	defer c.under.end(work)
	client, err := c.load(ctx, id)
	if err != nil {
		return nil, err
	}
	client.rereadFor = network
	if old, ok := c.cache.GetIfPresent(id); ok && reflect.DeepEqual(old.Credentials, client.Credentials) {
		client.rights.Store(old.rights.Load())
	}
	c.cache.Set(id, client)
	if work.outdated.Load() {
		c.cache.Invalidate(id)
	}
	return client, nil
}

// fromStore reads one client from the database. An id that nobody has yields a
// client that is not Known, so that it, too, is kept.
func (c *Clients) fromStore(ctx context.Context, id string) (*Client, error) {
	at := c.cfg.Clock()
	row, err := c.cfg.Store.Read().Credentials(ctx, id)
	known := err == nil
	if errors.Is(err, store.ErrNotFound) {
		row, err = &store.Credentials{ClientID: id}, nil
	}
	if err != nil {
		return nil, err
	}
	return newClient(row, at, known), nil
}

// Rights returns what belongs to the client's roles. work finds it out if it is
// not kept with the client already, once for all requests that ask at once.
func (c *Clients) Rights(
	ctx context.Context, client *Client, work func(context.Context) (Rights, error),
) (Rights, error) {
	if rights := client.rights.Load(); rights != nil {
		return *rights, nil
	}
	return c.rights.Do(ctx, client, func(ctx context.Context) (Rights, error) {
		reading := c.under.begin(client.ClientID)
		defer c.under.end(reading)
		rights, err := work(ctx)
		if err == nil && !reading.outdated.Load() {
			client.rights.Store(&rights)
		}
		return rights, err
	})
}
