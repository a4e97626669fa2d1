package token

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// account is what authenticating a client needs, read at one moment. What its
// roles give is read once somebody knew its secret: a stranger's guess costs the
// same whether there is such a client or not, and whatever it holds.
type account struct {
	*store.Credentials

	read   time.Time
	asker  netip.Addr // the network whose wrong secret led to this read; zero: none did
	known  bool       // false: there is no such client
	rights atomic.Pointer[Client]
}

// Client is an account with what its roles give. If it has become stale without
// our knowing, tokens minted from it carry an old epoch and are born revoked:
// the epoch was read before the roles.
type Client struct {
	*store.Credentials
	Subject string // sub: the member of an application key, else the client itself

	known    bool // false: there is no such client
	held     access.Holdings
	granted  map[string]bool // held.Privileges
	apis     []string        // held.Privileges without this server's own
	catalog  *catalogue
	standard grant // what a request that asks for nothing in particular gets
}

// Holds says whether the client's roles give it a privilege.
func (c *Client) Holds(privilege string) bool { return c.granted[privilege] }

// newClient works out once what every token request of this client needs.
func newClient(row *store.Credentials, cat *catalogue, issuer string, now time.Time) *Client {
	c := &Client{Credentials: row, known: true, catalog: cat, Subject: row.Principal()}
	c.held = access.Hold(row.Roles, cat.privileges, row.Operator, now)
	c.granted = make(map[string]bool, len(c.held.Privileges))
	for _, p := range c.held.Privileges {
		c.granted[p] = true
	}
	c.apis = without(c.held.Privileges, func(p string) bool { return cat.api[p] == issuer })
	standard, own := c.apis, len(c.apis) == 0 && len(c.held.Privileges) > 0
	if own {
		standard = c.held.Privileges
	}
	c.standard = c.grantOf(standard, nil, issuer, false, true)
	c.standard.own = own
	return c
}

// without lists those of all that are not of a kind: all itself if none is.
func without(all []string, kind func(string) bool) []string {
	if !slices.ContainsFunc(all, kind) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), kind)
}

// grant is what a token carries for its client: everything but the moment, the secret and the token's own id.
type grant struct {
	scope  string
	roles  []string
	claims []byte // the JSON object up to there, without its closing brace
	own    bool   // of the standard grant: it has this server's privileges, as there are no others
}

// grantOf writes a grant. A narrowed one has only the roles that give one of
// its privileges; full says that no scope was asked for.
func (c *Client) grantOf(privileges, resources []string, issuer string, narrowed, full bool) grant {
	audience := resources
	if len(audience) == 0 {
		audience = c.catalog.audiences(privileges)
	}
	if len(audience) == 0 {
		audience = []string{issuer}
	}
	g := grant{scope: strings.Join(privileges, " "), roles: c.held.Roles}
	if narrowed {
		g.roles = c.held.RolesOf(privileges)
	}
	g.claims = appendClaims(make([]byte, 0, 320+len(g.scope)), c, issuer, audience, g, full)
	return g
}

// clients remembers clients, and for a moment also that there is none with an
// id. All who ask for the same one at once share one read.
type clients struct {
	cache   *otter.Cache[string, *account]
	changes atomic.Int64 // rises with everything that is forgotten: a read that began before is not kept
	load    func(context.Context, string) (*account, error)
	reads   *store.Shared[string, *account]
	rereads *store.Shared[string, *account]
	rights  *store.Shared[*account, *Client]
}

func newClients(bound int, db *store.Store, load func(context.Context, string) (*account, error)) *clients {
	return &clients{
		cache: otter.Must(&otter.Options[string, *account]{MaximumSize: max(bound, 100)}), load: load,
		reads: store.NewShared[string, *account](db), rereads: store.NewShared[string, *account](db), rights: store.NewShared[*account, *Client](db),
	}
}

// get returns the account and whether it was in memory.
func (c *clients) get(ctx context.Context, id string) (a *account, hit bool, err error) {
	if a, ok := c.cache.GetIfPresent(id); ok {
		return a, true, nil
	}
	a, err = c.reads.Do(ctx, id, func(ctx context.Context) (*account, error) { return c.read(ctx, id, netip.Addr{}) })
	return a, false, err
}

// again reads an account afresh, past what is remembered, because of a wrong
// secret from a network.
func (c *clients) again(ctx context.Context, id string, asker netip.Addr) (*account, error) {
	return c.rereads.Do(ctx, id, func(ctx context.Context) (*account, error) { return c.read(ctx, id, asker) })
}

// read reads an account and remembers it. If that fails the old one stays, and
// if it is the same, so does what its roles give: a stranger's wrong secret must
// not make a node forget whom it serves while the database is away or slow.
func (c *clients) read(ctx context.Context, id string, asker netip.Addr) (*account, error) {
	before := c.changes.Load()
	a, err := c.load(ctx, id)
	if err != nil {
		return nil, err
	}
	a.asker = asker
	if old, ok := c.cache.GetIfPresent(id); ok && reflect.DeepEqual(old.Credentials, a.Credentials) {
		a.rights.Store(old.rights.Load())
	}
	c.cache.Set(id, a)
	if c.changes.Load() != before {
		c.cache.Invalidate(id)
	}
	return a, nil
}

// withRights returns the account's client, which work makes if it is not
// remembered.
func (c *clients) withRights(ctx context.Context, a *account, work func(context.Context) (*Client, error)) (*Client, error) {
	if client := a.rights.Load(); client != nil {
		return client, nil
	}
	return c.rights.Do(ctx, a, func(ctx context.Context) (*Client, error) {
		before := c.changes.Load()
		client, err := work(ctx)
		if err == nil && c.changes.Load() == before {
			a.rights.Store(client)
		}
		return client, err
	})
}

func (c *clients) forget(id string) {
	c.changes.Add(1)
	c.cache.Invalidate(id)
}

func (c *clients) forgetAll() {
	c.changes.Add(1)
	c.cache.InvalidateAll()
}

// forgetHolders forgets the clients that hold one of the roles. It looks at every
// client in memory: a few milliseconds for 100,000.
func (c *clients) forgetHolders(roles map[string]bool) {
	c.changes.Add(1)
	for id, a := range c.cache.All() {
		client := a.rights.Load()
		if client != nil && slices.ContainsFunc(client.Roles, func(r store.HeldRole) bool { return roles[r.ID] }) {
			c.cache.Invalidate(id)
		}
	}
}

// forgetOrganization forgets the clients of one organization, which may be gone.
// It looks at every client in memory.
func (c *clients) forgetOrganization(id string) {
	c.changes.Add(1)
	for key, a := range c.cache.All() {
		if a.OrgID == id {
			c.cache.Invalidate(key)
		}
	}
}

// catalogue gives the catalogue in force, from memory if it is there.
func (s *Service) catalogue(ctx context.Context) (*catalogue, error) {
	if cat := s.catalog.Load(); cat != nil {
		return cat, nil
	}
	loaded, err := loadCatalogue(ctx, s.cfg.Store.Read(), s.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	s.catalog.Store(loaded)
	return loaded, nil
}

// loadAccount reads one account from the database. An id that nobody has gives
// one that is not known, so that it too is remembered.
func (s *Service) loadAccount(ctx context.Context, id string) (*account, error) {
	row, err := s.cfg.Store.Read().Credentials(ctx, id)
	known := err == nil
	if errors.Is(err, store.ErrNotFound) {
		row, err = &store.Credentials{ClientID: id}, nil
	}
	return &account{Credentials: row, read: s.cfg.Clock(), known: known}, err
}

// account returns what is known of a client, whoever may ask for it.
func (s *Service) account(ctx context.Context, id string) (*account, error) {
	if !svcauth.ValidClientID(id) {
		return &account{Credentials: &store.Credentials{}, read: s.cfg.Clock()}, nil
	}
	if s.Stale() {
		return nil, unavailable(errors.New("the change log has been silent for longer than token.serve_stale"))
	}
	a, hit, err := s.clients.get(ctx, id)
	if s.cfg.OnCache != nil {
		s.cfg.OnCache(hit)
	}
	if err != nil {
		return nil, storeError(err)
	}
	return a, nil
}

// client returns a client that is fit to decide by, for whoever knew its secret
// or may ask about it.
func (s *Service) client(ctx context.Context, id string) (*Client, error) {
	a, err := s.account(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.withRights(ctx, a)
}

// withRights adds what the account's roles give. If the first grant has expired
// since that was worked out, it is worked out anew.
func (s *Service) withRights(ctx context.Context, a *account) (*Client, error) {
	if !a.known {
		return &Client{Credentials: a.Credentials}, nil
	}
	client, err := s.clients.withRights(ctx, a, func(ctx context.Context) (*Client, error) { return s.loadRights(ctx, a) })
	if err != nil {
		return nil, storeError(err)
	}
	return s.current(client), nil
}

func (s *Service) loadRights(ctx context.Context, a *account) (*Client, error) {
	cat, err := s.catalogue(ctx)
	if err != nil {
		return nil, err
	}
	row := *a.Credentials
	if row.Roles, err = s.cfg.Store.Read().HeldRoles(ctx, row.OrgID, row.Principal()); err != nil {
		return nil, err
	}
	return newClient(&row, cat, s.cfg.Issuer, s.cfg.Clock()), nil
}

// Stale says whether the change log has been silent for longer than Config.ServeStale. No client gets a token then, known or not.
func (s *Service) Stale() bool { return s.cfg.ChangeLog.Behind() > s.cfg.ServeStale+staleSlack }

// staleSlack is for the normal distance between two readings of the change log.
const staleSlack = 5 * time.Second

func (s *Service) current(c *Client) *Client {
	if c.known && !c.held.Until.IsZero() && !s.cfg.Clock().Before(c.held.Until) {
		return newClient(c.Credentials, c.catalog, s.cfg.Issuer, s.cfg.Clock())
	}
	return c
}

// FromOperator reports whether a client is remembered as one of the operator's.
func (s *Service) FromOperator(clientID string) bool {
	a, ok := s.clients.cache.GetIfPresent(clientID)
	return ok && a.Operator
}

func storeError(err error) *Error {
	var already *Error
	switch {
	case errors.As(err, &already):
		return already
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable(err)
	}
	return fault(err)
}
