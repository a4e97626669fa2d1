// Package token owns the life of a token: it authenticates a client, decides what the token may carry, mints it, introspects and revokes it.
// The library go-oauth2 runs the grant in the middle (oauth2.go); the edges are ours.
//
// The way of one request: [Service.Authenticate] takes the client's credential, then [Service.Issue], [Service.Introspect] or
// [Service.Revoke] do the work. Every refusal is an [*Error]: an error code of RFC 6749 §5.2 with a sentence for the caller, and a
// reason for the log that may say more.
//
// It refuses to know: HTTP routes and bodies, who may change what (package access), SQL, where keys come from.
package token

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-oauth2/oauth2/v4/server"
	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/audit"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/changelog"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config is what the service stands on.
type Config struct {
	Store       *store.Store
	Audit       *audit.Log // takes wrong secrets; nil: nobody is told of them
	Keyring     *keyring.Keyring
	Cache       *cache.Cache
	ChangeLog   *changelog.Log
	Revocations *resourceserver.RevocationSet

	Issuer       string
	TTL          time.Duration // of a token whose client has none of its own
	ScopeAliases []string      // scopes that mean 'all that is granted'
	MaxSize      int           // of a token, in characters; 0: no bound
	ServeStale   time.Duration // for how long known clients get tokens while the database is away
	Clients      int           // bound of the cache of clients

	Clock  func() time.Time
	Logger *slog.Logger

	OnIssued func()         // a token was issued
	OnRevoke func()         // a token was revoked by its client
	OnCache  func(hit bool) // a client was, or was not, in memory
}

// Service is safe for concurrent use. Its goroutines are in [Service.Run].
type Service struct {
	cfg     Config
	clients *clients
	catalog atomic.Pointer[catalogue]
	oauth2  *server.Server
	any     *resourceserver.Verifier // any audience: introspection, revocation
	own     *resourceserver.Verifier // this server as the audience: the management API
	used    *lastUsed
	batch   *revocationBatch
	events  ownRevocations
	dummy   []byte // a hash that no secret has
}

// New makes the service.
func New(cfg Config) (*Service, error) {
	s := &Service{cfg: cfg, used: newLastUsed(cfg), dummy: make([]byte, 32)}
	s.batch = newRevocationBatch(s.writeRevocations)
	s.clients = newClients(cfg.Clients, cfg.Store, s.loadAccount)
	s.oauth2 = newGrantServer(s)
	verify := resourceserver.Config{
		Issuer: cfg.Issuer, Audience: cfg.Issuer, Keys: cfg.Keyring, Revocations: cfg.Revocations, Clock: cfg.Clock, Leeway: -1, IssuedAhead: svcauth.DefaultLeeway,
	}
	var err error
	if s.own, err = resourceserver.New(verify); err != nil {
		return nil, fmt.Errorf("set up the verification of our own tokens: %w", err)
	}
	verify.AnyAudience = true
	if s.any, err = resourceserver.New(verify); err != nil {
		return nil, fmt.Errorf("set up the verification of our own tokens: %w", err)
	}
	return s, nil
}

// Run writes what is batched (last use, revocations) until ctx is done, and what is left then.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { s.used.run(ctx); return nil })
	group.Go(func() error { s.batch.run(ctx); return nil })
	return group.Wait()
}

// Apply forgets what entries of the change log have made stale. With Reset it
// makes the Service a listener of the change log.
func (s *Service) Apply(_ context.Context, entries []store.Change) {
	roles := map[string]bool{}
	for _, c := range entries {
		switch c.Kind {
		case store.ChangeClient:
			s.clients.forget(c.Subject)
		case store.ChangeRole:
			roles[c.Subject] = true
		case store.ChangeOrg:
			s.clients.forgetOrganization(c.Subject)
		case store.ChangeCatalog:
			s.catalog.Store(nil) // read again with the next client
			s.clients.forgetAll()
		}
	}
	if len(roles) > 0 {
		s.clients.forgetHolders(roles)
	}
}

// Reset forgets everything, because entries of the change log may have been missed.
func (s *Service) Reset(context.Context, int64) {
	s.catalog.Store(nil)
	s.clients.forgetAll()
}

// Close ends what New has begun.
func (s *Service) Close() error {
	_ = s.any.Close()
	return s.own.Close()
}
