// Package app builds the server out of its parts and runs it. It is the one
// place that knows all of them.
//
// [New] opens and loads, [App.Run] serves until its context is done, and
// [App.Close] undoes New. The package refuses to know any rule.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/audit"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/changelog"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/console"
	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/federation"
	"github.com/svcauth/svcauth/internal/feed"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/manage"
	"github.com/svcauth/svcauth/internal/oauth"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/refusals"
	"github.com/svcauth/svcauth/internal/server"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/telemetry"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/internal/verify"
)

// Options are what a configuration file does not say.
type Options struct {
	Version string
	Log     io.Writer        // default: standard error
	Clock   func() time.Time // default: time.Now
	// Listener is used instead of listening on `listen`, if the caller must
	// know the address first. Run closes it.
	Listener net.Listener
	Patience Patience
	// PasswordWorker is the command that hashes passwords; see
	// [people.Config]. Empty: this process hashes them.
	PasswordWorker []string
	// ClientMethods are ways for clients to authenticate beside our own.
	ClientMethods []clientauth.Method
}

// App is a whole svcauth.
type App struct {
	Access *access.Service // for commands that work on the database
	People *people.Service // likewise
	Token  *token.Service

	cfg      config.Config
	listener net.Listener // of Options; nil: Run listens itself

	patience Patience

	passwordWorker []string
	clientMethods  []clientauth.Method
	clock          func() time.Time
	log            *telemetry.BufferedWriter
	logger         *slog.Logger
	metrics        *telemetry.Metrics
	tracer         trace.Tracer // nil: no traces

	tokenRoutes map[string]bool // the token endpoint and its aliases

	version      string
	node         string // tells it from the others
	recorder     recorder
	store        *store.Store
	cache        *cache.Cache
	keyring      *keyring.Keyring
	writes       *writeHealth
	outage       *outage
	libraries    *telemetry.LibraryLog
	certificates []*certificate // those in use
	audit        *audit.Log
	refusals     *refusals.Log
	clients      *clientauth.Clients
	clientAuth   *clientauth.Authenticator
	uses         *clientauth.Uses
	federation   federation.Verifier
	costly       *limits.Costly

	certificateReader *clientauth.CertificateReader // of clients

	mailer      *mailer // nil where no mail is sent
	changes     *changelog.Log
	revocations *verify.RevocationSet
	feed        *feed.Feed
	face        *server.Server
	handler     http.Handler // of face
	closers     []func() error
}

// New opens the database, brings its schema up to date, loads keys, catalogue
// and revocations, and wires the parts. It serves nothing yet.
func New(ctx context.Context, cfg config.Config, opts Options) (_ *App, err error) {
	a := &App{
		version:        opts.Version,
		node:           nodeName(),
		tokenRoutes:    map[string]bool{"/oauth2/token": true},
		cfg:            cfg,
		listener:       opts.Listener,
		passwordWorker: opts.PasswordWorker,
		patience:       opts.Patience,
		clientMethods:  opts.ClientMethods,
		clock:          opts.Clock,
		metrics:        telemetry.NewMetrics(opts.Version),
	}
	a.recorder.a = a
	for _, path := range cfg.Token.Aliases {
		a.tokenRoutes[path] = true
	}
	if a.clock == nil {
		a.clock = time.Now
	}
	if opts.Log == nil {
		opts.Log = os.Stderr
	}
	a.log = telemetry.NewBufferedWriter(opts.Log)
	a.closers = append(a.closers, a.log.Close)
	defer func() {
		if err != nil {
			_ = a.Close()
		}
	}()
	logger, err := telemetry.NewLogger(a.log, cfg.Log.Format, cfg.Log.Level)
	if err != nil {
		return nil, err
	}
	a.outage = &outage{logger: logger}
	a.logger = slog.New(outageHandler{logger.Handler(), a.outage})
	a.libraries = telemetry.NewLibraryLog(a.logger)
	if err := a.startTracing(ctx, opts.Version); err != nil {
		return nil, err
	}
	if err := checkMasterKeys(a.cfg); err != nil {
		return nil, err
	}
	if err := a.open(ctx); err != nil {
		return nil, err
	}
	master, previous, err := a.masterKeys(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.wire(master, previous); err != nil {
		return nil, err
	}
	return a, a.load(ctx)
}

// open connects to the stores.
func (a *App) open(ctx context.Context) (err error) {
	a.writes = &writeHealth{logger: a.outage.logger, outage: a.outage, success: time.Now()}
	a.store, err = store.Open(store.Config{URL: a.cfg.Database.URL.Reveal(), MaxConns: a.cfg.Database.MaxOpenConns,
		Observer: observer{a}, Patience: a.patience.Database})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.store.Close)
	a.metrics.Pool("database", func() telemetry.Pool { return telemetry.Pool(a.store.Connections()) })
	if _, err := a.store.Migrate(ctx); err != nil {
		return err
	}
	trust, own, err := redisTLS(a.cfg.Redis)
	if err != nil {
		return err
	}
	a.watchCertificate(own)
	a.cache, err = cache.New(cache.Config{
		TLS:             trust,
		URL:             a.cfg.Redis.URL.Reveal(),
		Prefix:          a.cfg.Redis.Prefix,
		Clock:           a.clock,
		Logger:          a.logger,
		Key:             func() []byte { return a.keyring.SharedKey() },
		WrongPerClient:  a.cfg.Limits.WrongSecretsPerClient,
		WrongPerAddress: a.cfg.Limits.WrongSecretsPerAddress,
		Window:          a.cfg.Limits.Window,
		OneOfMany:       a.store.Postgres(),
		Patience:        a.patience.Redis,
		Observer:        observer{a},
	})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, a.cache.Close)
	if a.cache.Shared() {
		a.metrics.Pool("redis", func() telemetry.Pool { return telemetry.Pool(a.cache.Connections()) })
	}
	return nil
}

// wire builds the services on the stores.
func (a *App) wire(master, previous []byte) (err error) {
	keys := keyringConfig(a.cfg, a.store, master, previous)
	keys.Clock, keys.Logger = a.clock, a.logger
	a.keyring, err = keyring.New(keys)
	if err != nil {
		return err
	}
	revocations := verify.NewRevocationSet()
	a.revocations = revocations
	a.changes = changelog.New(changelog.Config{
		Store:       a.store,
		Cache:       a.cache,
		Revocations: revocations,
		Clock:       a.clock,
		Logger:      a.logger,
		Observer:    a.metrics,
	})
	a.feed = feed.New(feed.Config{
		ChangeLog:      a.changes,
		Store:          a.store,
		Cache:          a.cache,
		Issuer:         a.cfg.Issuer,
		Node:           a.node,
		Clock:          a.clock,
		Logger:         a.logger,
		MaxSubscribers: a.cfg.Limits.MaxFollowers,
		Observer:       a.metrics,
	})
	a.audit = audit.New(audit.Config{Store: a.store, Logger: a.logger, Observer: a.metrics})
	a.refusals = refusals.New(refusals.Config{Store: a.store, Logger: a.logger, Observer: a.metrics})
	a.costly = limits.NewCostly()
	if a.federation, err = a.newFederation(); err != nil {
		return err
	}
	if err := a.wireClients(); err != nil {
		return err
	}
	a.Token, err = token.New(token.Config{
		Store:        a.store,
		Clients:      a.clients,
		Keyring:      a.keyring,
		Cache:        a.cache,
		ChangeLog:    a.changes,
		Revocations:  revocations,
		Issuer:       a.cfg.Issuer,
		MTLSURL:      a.cfg.TLS.MTLSURL,
		Certificates: a.certificateReader,
		DPoP:         token.DPoP{Nonce: dpop.Mode(a.cfg.DPoP.Nonce), Shared: a.cfg.DPoP.Replay == config.ReplayShared},
		TTL:          a.cfg.Token.TTL,
		ScopeAliases: a.cfg.Token.ScopeAliases,
		MaxSize:      a.cfg.Token.MaxSize,
		Reuse:        a.cfg.Token.Reuse,
		Federation:   a.federation,
		Costly:       a.costly,
		Records:      access.Records{Store: a.store, Audit: a.audit, Refusals: a.refusals},
		Observer:     tokenMetrics{a.metrics},
		Clock:        a.clock,
		Logger:       a.logger,
	})
	if err != nil {
		return err
	}
	a.store.Listen(a.changes)
	a.changes.Listen(a.keyring, a.Token, a.feed)
	a.changes.ListenEarly(a.feed)
	a.Access = a.newAccess(revocations)
	if a.People, err = a.newPeople(); err != nil {
		return err
	}
	a.closers = append(a.closers, a.People.Close)
	return a.wireHTTP()
}

// wireClients builds what authenticates clients.
func (a *App) wireClients() error {
	authorities, err := clientAuthorities(a.cfg.TLS.ClientCAFile)
	if err != nil {
		return ofKey("tls.client_ca_file", err)
	}
	a.clients = clientauth.NewClients(clientauth.ClientsConfig{
		Store: a.store, Bound: a.cfg.Cache.Clients, ChangeLog: a.changes, ServeStale: a.cfg.Token.ServeStale,
		Observer: tokenMetrics{a.metrics}, Clock: a.clock,
	})
	a.certificateReader = certificateReader(a.cfg.TLS)
	a.clientAuth = clientauth.New(clientauth.Config{
		Methods: slices.Concat(clientauth.Methods(a.keyring), a.newPrivateKey(),
			clientauth.Certificates(clientauth.CertificateConfig{
				Authorities: authorities, SelfSigned: takesSelfSigned(a.cfg.TLS), Clock: a.clock,
			}), a.clientMethods),
		Certificates: a.certificateReader,
		Clients:      a.clients, Store: a.store, Cache: a.cache, Audit: a.audit, Clock: a.clock, Logger: a.logger,
	})
	a.metrics.DeclareAuthMethods(append(slices.Clone(a.clientAuth.MethodNames()), clientauth.MethodFederated)...)
	return nil
}

func (a *App) wireHTTP() error {
	callers := limits.NewCallers(limits.CallersBound{
		PerSecond:    a.cfg.Limits.ManagementPerSecond,
		InWork:       max(8, a.cfg.Limits.MaxInflight/100),
		Organization: 4,
	})
	api := manage.Config{
		Access: a.Access, People: a.People, Token: a.Token, Logger: a.logger, Callers: callers,
		Issuer: a.cfg.Issuer, SessionCookie: console.CookieName(a.cfg.Issuer),
		Enforced: a.enforced, Expect: a.expect, ResourceServers: a.resourceServers,
	}
	cfg := server.Config{
		OAuth: oauth.New(oauth.Config{
			ClientAuth: a.clientAuth, Refusals: a.refusals,
			Token: a.Token, Feed: a.feed, Issuer: a.cfg.Issuer, MTLSURL: a.cfg.TLS.MTLSURL,
			TokenAliases: a.cfg.Token.Aliases, CertificateBound: takesCertificates(a.cfg.TLS),
			JWKS: a.keyring.JWKS, JWKSMaxAge: a.cfg.JWKS.MaxAge, Algorithms: a.keyring.Algorithms,
		}),
		Ready: a.ready, Logger: a.logger, Observer: observer{a}, Refusals: a.refusals,
		Issuer: a.cfg.Issuer, AllowedOrigins: a.cfg.CORS.AllowedOrigins, TrustedProxies: a.cfg.TrustedProxies,
		ProxyFields: a.certificateReader.Fields(),
		MaxInflight: a.cfg.Limits.MaxInflight, Tracer: a.tracer, TrustParent: a.cfg.OTLP.TrustParent,
	}
	if a.cfg.Console.Enabled {
		pages, err := a.console(callers)
		if err != nil {
			return err
		}
		cfg.Console, cfg.ConsoleForm, api.SessionActor = pages, console.MaxForm, pages.Actor
	}
	var err error
	if cfg.Manage, err = manage.New(api); err != nil {
		return err
	}
	face, handler, err := server.New(cfg)
	if err != nil {
		return err
	}
	a.metrics.DeclareRoutes(face.Routes...)
	a.watchOperations()
	a.metrics.Requests(face.InFlight, a.cfg.Limits.MaxInflight)
	a.face, a.handler = face, handler
	return nil
}

// load reads what must be in memory before anything is served.
func (a *App) load(ctx context.Context) error {
	if err := a.keyring.Check(ctx); err != nil { // the wrong master key must change nothing
		return err
	}
	catalogue, err := config.LoadCatalog(a.cfg.CatalogFile, a.cfg.Issuer)
	if err != nil {
		return err
	}
	if _, err := a.Access.ApplyCatalog(
		ctx, catalogue.APIs, catalogue.Privileges, a.cfg.CatalogAllowRemoval,
	); err != nil {
		return fmt.Errorf("apply the catalogue: %w", err)
	}
	if err := a.keyring.Load(ctx); err != nil { // keys of each algorithm that the catalogue's profiles name
		return err
	}
	return a.changes.Load(ctx)
}

// Logger is the server's own, for what its command has to say.
func (a *App) Logger() *slog.Logger { return a.logger }

// FlushLog writes out the log lines that are still gathered.
func (a *App) FlushLog() { _ = a.log.Flush() }

// Handler is the main listener's, for tests that bring their own.
func (a *App) Handler() http.Handler { return a.handler }

// Close undoes New, the last first.
func (a *App) Close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// nodeName tells this process apart from the others that serve the same
// database.
func nodeName() string {
	host, _ := os.Hostname()
	fresh := make([]byte, 3)
	_, _ = rand.Read(fresh)
	return fmt.Sprintf("%.60s-%x", host, fresh)
}
