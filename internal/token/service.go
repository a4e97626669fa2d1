// Package token owns the life of a token: what it may carry, and its minting,
// introspection, revocation and explanation.
//
// A client comes here after it has proven who it is (package clientauth).
// [Service.Issue] finds the grant that its request names and lets that decide;
// each grant is a file of its own, and none can get a token but by the one way
// that mints it. Every refusal is an [*oautherr.Error].
//
// It refuses to know: HTTP routes and bodies, how a client proves who it is,
// who may change what (package access), SQL, where keys come from.
package token

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/changelog"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/federation"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config is what the service stands on.
type Config struct {
	Store   *store.Store
	Clients *clientauth.Clients

	Keyring     *keyring.Keyring
	Cache       *cache.Cache
	ChangeLog   *changelog.Log
	Revocations *verify.RevocationSet
	Records     access.Records
	// Certificates reads what the TLS client of a request has shown; nil: only
	// the connection is asked.
	Certificates *clientauth.CertificateReader
	Federation   federation.Verifier
	Costly       *limits.Costly // has signatures that cost much checked in turn

	Issuer       string
	MTLSURL      string // where else callers reach this server; may be empty
	DPoP         DPoP
	TTL          time.Duration // of a token whose client has none of its own
	Reuse        time.Duration // for how long a token is given out again; 0: never
	ScopeAliases []string      // scopes that mean 'all that is granted'
	MaxSize      int           // of a token, in characters; 0: no bound

	Observer Observer // nil: nobody counts
	Clock    func() time.Time
	Logger   *slog.Logger
}

// Observer counts what happens here, for the metrics.
type Observer interface {
	// TokenIssued counts a token; method is [clientauth.Authentication].Method,
	// bound is [TokenResponse].Bound.
	TokenIssued(method, bound string)
	// TokenReused counts a token that was given out again.
	TokenReused()
	// TokenRevoked counts a token that its own client revoked.
	TokenRevoked()
}

// Service is safe for concurrent use. Its goroutines are in [Service.Run].
type Service struct {
	cfg      Config
	grants   map[string]grant // by grant_type
	catalogs catalogues
	sets     roleSets

	// Both verify the tokens of this server: those for any audience, to
	// introspect and to revoke, and those for this server itself, to call the
	// management API.
	anyAudience    *verify.Verifier
	issuerAudience *verify.Verifier

	proofs *dpop.Checker
	bases  []string // the URLs that proofs for this server begin with

	reuse  *reuse // nil: each request gets a token of its own
	batch  *revocationBatch
	events ownRevocations
}

// New returns a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Certificates == nil {
		cfg.Certificates = &clientauth.CertificateReader{}
	}
	s := &Service{cfg: cfg, proofs: newProofs(cfg), bases: []string{cfg.Issuer}}
	if cfg.MTLSURL != "" {
		s.bases = append(s.bases, cfg.MTLSURL)
	}
	s.grants, s.reuse = newGrants(s), newReuse(&s.cfg)
	s.batch = newRevocationBatch(s.writeRevocations)
	own := verify.Config{
		Issuer: cfg.Issuer, Audience: cfg.Issuer, Keys: cfg.Keyring, Revocations: cfg.Revocations, Clock: cfg.Clock,
		TypJWT: true, IssuedAhead: svcauth.DefaultLeeway, Remember: verify.DefaultRemember,
	}
	var err error
	if s.issuerAudience, err = verify.New(own); err != nil {
		return nil, fmt.Errorf("set up the verification of our own tokens: %w", err)
	}
	own.AnyAudience = true
	if s.anyAudience, err = verify.New(own); err != nil {
		return nil, fmt.Errorf("set up the verification of our own tokens: %w", err)
	}
	return s, nil
}

// Run writes the revocations that clients ask for, in batches, until ctx is
// done.
func (s *Service) Run(ctx context.Context) error {
	s.batch.run(ctx)
	return nil
}

// Apply forgets what entries of the change log have made stale, of the service
// and of the clients that it works on. With Reset it makes the Service a
// listener of the change log. The catalogue goes first: rights that are read
// after their client was forgotten must not be worked out by the old one.
func (s *Service) Apply(_ context.Context, entries []store.Change) {
	for _, c := range entries {
		if c.Kind == store.ChangeCatalog {
			s.catalogs.forget()
		}
	}
	s.cfg.Clients.Apply(entries)
}

// Reset forgets everything, because entries of the change log may have been
// missed.
func (s *Service) Reset(context.Context, int64) {
	s.catalogs.forget()
	s.cfg.Clients.Reset()
}

// FromOperator reports whether a client is in memory as one of the operator's
// organization.
func (s *Service) FromOperator(clientID string) bool { return s.cfg.Clients.FromOperator(clientID) }
