// Package svctest runs a whole svcauth for tests: the real program on a real
// listener, bootstrapped, with clients of its own.
//
// [New] starts one in a line, on SQLite and the in-process cache unless
// [Options] asks for PostgreSQL or Redis; [Server.Node] adds a node on the same
// stores; [Server.Stop] and [Server.Start] are a restart. Everything ends with
// the test.
//
// It refuses to know: what is tested. It asserts nothing but that what it was
// asked for works.
package svctest

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// AdminEmail is the first administrator's address on every server that [New]
// makes.
const AdminEmail = "admin@example.com"

// Options say what kind of server is wanted. The zero value: SQLite, in-process
// cache, no TLS, the real clock.
type Options struct {
	// Postgres is a fresh database on the shared PostgreSQL. Without services
	// the test is skipped.
	Postgres    bool
	DatabaseURL string           // a database of the caller's instead
	Redis       bool             // the shared Redis; without services the test is skipped
	RedisURL    string           // a Redis of the caller's instead
	TLS         bool             // a private CA, which [Server.HTTP] and [Server.CAFile] know
	Environ     []string         // further configuration, as "SVCAUTH_TOKEN_TTL=2m"
	Clock       func() time.Time // default time.Now
	Log         io.Writer        // default: kept, see [Server.Log]
	Empty       bool             // not bootstrapped: Tenant is empty
	// Impatient gives up a database that hangs as soon as in production. Else
	// it, and the shared Redis, are waited for as [schema.Patience] says.
	Impatient bool

	ClientMethods []clientauth.Method // for clients to authenticate with, beside our own
}

// Server is one running node.
type Server struct {
	Issuer string        // as it stands in tokens
	URL    string        // of this node's own listener; of the first node it is the issuer
	Tenant people.Tenant // the operator's organization, its administrator's password and application key
	App    *app.App      // nil while stopped
	HTTP   *http.Client  // trusts the server's CA; follows no redirects
	CAFile string        // PEM, where TLS

	t       testing.TB
	opts    Options
	environ []string
	address string
	tls     *tls.Config
	log     *syncbuf.Buffer
	stop    context.CancelFunc
	done    chan error
}

// New starts a server for t and returns when it answers.
func New(t testing.TB, opts Options) *Server {
	t.Helper()
	dir := t.TempDir()
	database := opts.DatabaseURL
	switch {
	case database != "":
	case opts.Postgres:
		database = schema.Postgres(t)
	default:
		database = schema.SQLite(t)
	}
	if opts.Redis && opts.RedisURL == "" {
		opts.RedisURL = redistest.URL(t)
	}
	s := &Server{t: t, opts: opts, environ: append(slices.Clone(opts.Environ), // the first of a name counts
		"SVCAUTH_DATABASE_URL="+database, "SVCAUTH_MASTER_KEY_FILE="+filepath.Join(dir,
			"master.key"), "SVCAUTH_OPS_LISTEN=",
		"SVCAUTH_REDIS_URL="+opts.RedisURL)}
	s.start(dir, "")
	return s
}

// Node starts a further node on the same database, Redis and master key, with a
// listener of its own. The database must be PostgreSQL: SQLite is for one
// process.
func (s *Server) Node() *Server {
	s.t.Helper()
	node := &Server{t: s.t, opts: s.opts, environ: s.environ, Tenant: s.Tenant, tls: s.tls, CAFile: s.CAFile}
	node.opts.Empty = true
	node.start("", s.Issuer)
	return node
}

// start makes the listener first, because the issuer names its port. It is one
// that nobody gets while the server is stopped.
func (s *Server) start(dir, issuer string) {
	s.t.Helper()
	listener, err := net.Listen("tcp", freeport.Address(s.t))
	require.NoError(s.t, err)
	s.address = listener.Addr().String()
	if s.opts.TLS && s.tls == nil {
		s.certify(dir)
	}
	s.URL = "http://" + s.address
	if s.opts.TLS {
		s.URL = "https://" + s.address
	}
	if s.Issuer = issuer; issuer == "" {
		s.Issuer = s.URL
		s.environ = append(s.environ, "SVCAUTH_ISSUER="+s.Issuer)
	}
	s.HTTP = &http.Client{Timeout: 30 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: s.tls, MaxIdleConnsPerHost: 100},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.log = &syncbuf.Buffer{}
	s.run(listener)
	s.t.Cleanup(func() {
		// first: one that was dialled and never used would hold the shutdown up
		// for five seconds
		s.HTTP.CloseIdleConnections()
		s.Stop()
	})
}

func (s *Server) run(listener net.Listener) {
	s.t.Helper()
	cfg, err := config.Load(config.LoadOptions{Environ: s.environ})
	require.NoError(s.t, err)
	s.Issuer = cfg.Issuer // a test may have set one of its own
	log := s.opts.Log
	if log == nil {
		log = s.log
	}
	ctx, stop := context.WithCancel(context.Background())
	s.App, err = app.New(ctx, cfg, app.Options{
		Version:       "test",
		ClientMethods: s.opts.ClientMethods,
		Log:           log,
		Clock:         s.opts.Clock,
		Listener:      listener,
		Patience:      s.patience(),
	})
	require.NoError(s.t, err)
	if !s.opts.Empty && s.Tenant.AdminEmail == "" {
		s.Tenant, err = s.App.People.Bootstrap(ctx, people.NewTenant{AdminEmail: AdminEmail})
		require.NoError(s.t, err)
	}
	s.stop, s.done = stop, make(chan error, 1)
	ready := make(chan struct{})
	go func() { s.done <- s.App.Run(ctx, func(net.Addr) { close(ready) }) }()
	select {
	case <-ready:
	case err := <-s.done:
		s.t.Fatalf("the server did not start: %v", err)
	}
}

// patience is the server's own for what the test may stop: a Redis of its own.
func (s *Server) patience() (p app.Patience) {
	if s.opts.Impatient {
		return p
	}
	if s.opts.Redis {
		p.Redis = schema.Patience
	}
	p.Database = schema.Patience
	return p
}

// Stop shuts the server down as a SIGTERM does. Twice is once.
func (s *Server) Stop() {
	s.t.Helper()
	if s.App == nil {
		return
	}
	s.stop()
	require.NoError(s.t, <-s.done)
	require.NoError(s.t, s.App.Close())
	s.App = nil
}

// Start starts a stopped server again, on the same address and data.
func (s *Server) Start() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.address)
	require.NoError(s.t, err)
	s.run(listener)
}

// Set changes the configuration from the next [Server.Start] on: entries as in
// [Options.Environ]. An empty value stands for the default.
func (s *Server) Set(environ ...string) { s.environ = append(slices.Clone(environ), s.environ...) }

// Log is what the server has logged so far.
func (s *Server) Log() string {
	s.t.Helper()
	if s.App != nil {
		s.App.FlushLog()
	}
	return s.log.String()
}

// System puts the server itself into the context as the actor in the operator's
// organization: it may do everything there.
func (s *Server) System() context.Context {
	return access.WithActor(context.Background(), access.System(s.Tenant.Organization.ID))
}

// Account makes a service account with a role of its own that holds the
// privileges (none: no role), in the operator's organization.
func (s *Server) Account(name string, privileges ...string) svcauth.ServiceAccount {
	s.t.Helper()
	return s.AccountIn(s.Tenant, name, privileges...)
}

// AccountIn is [Server.Account] in a given organization.
func (s *Server) AccountIn(tenant people.Tenant, name string, privileges ...string) svcauth.ServiceAccount {
	s.t.Helper()
	ctx := access.WithActor(context.Background(), access.System(tenant.Organization.ID))
	n := svcauth.NewServiceAccount{Name: name}
	if len(privileges) > 0 {
		role, err := s.App.Access.CreateRole(ctx, svcauth.NewRole{Name: "Role of " + name, Privileges: privileges})
		require.NoError(s.t, err)
		n.RoleIDs = []string{role.ID}
	}
	account, err := s.App.Access.CreateServiceAccount(ctx, n)
	require.NoError(s.t, err)
	return account
}

// NewTenant makes a further organization with an administrator.
func (s *Server) NewTenant(name string) people.Tenant {
	s.t.Helper()
	tenant, err := s.App.People.AddOrganization(context.Background(),
		people.NewTenant{Name: name, AdminEmail: "admin@" + name + ".example"})
	require.NoError(s.t, err)
	return tenant
}
