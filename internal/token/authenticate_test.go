package token

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/changelog"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// guesses is a service over a database of which the queries are counted, with a
// client that holds some roles.
type guesses struct {
	*Service
	db      *store.Store
	queries atomic.Int64
	now     atomic.Int64
	client  string
	secret  svcauth.Secret

	mu    sync.Mutex
	turns []string // in whose turn the queries ran
}

func newGuesses(t *testing.T) *guesses {
	t.Helper()
	g := &guesses{}
	g.now.Store(time.Now().UnixNano())
	clock := func() time.Time { return time.Unix(0, g.now.Load()) }
	db, err := store.Open(store.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db"), MaxConns: readersOfGuesses * 2, OnCall: g.note})
	require.NoError(t, err)
	g.db = db
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.Migrate(t.Context())
	require.NoError(t, err)
	keys, err := keyring.New(keyring.Config{Store: db, MasterKey: make([]byte, 32), Algorithm: "ES256", RotateEvery: 24 * time.Hour, PublishBefore: time.Hour,
		Clock: clock})
	require.NoError(t, err)
	require.NoError(t, keys.Load(t.Context()))
	shared, err := cache.New(cache.Config{WrongPerClient: 1000, WrongPerAddress: 1000})
	require.NoError(t, err)
	revocations := resourceserver.NewRevocationSet()
	log := changelog.New(changelog.Config{Store: db, Cache: shared, Revocations: revocations, Clock: time.Now, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, log.Load(t.Context()))
	g.Service, err = New(Config{Store: db, Keyring: keys, Cache: shared, ChangeLog: log, Revocations: revocations, Issuer: "https://issuer.example",
		TTL: time.Hour, ServeStale: time.Hour, Clients: 100, Clock: clock, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	g.client, g.secret = svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret()
	require.NoError(t, db.Write(t.Context(), func(q *store.Q) error { return g.fill(t.Context(), q) }))
	g.queries.Store(0)
	return g
}

// readersOfGuesses is how many connections there are for queries: one is for the
// operator and the server itself alone.
const readersOfGuesses = 2

// note counts a query.
func (g *guesses) note(ctx context.Context, _ string, _ time.Time, _ error) {
	g.queries.Add(1)
	whose, _ := limits.Caller(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turns = append(g.turns, whose)
}

func (g *guesses) fill(ctx context.Context, q *store.Q) error {
	at := time.Now()
	errs := []error{
		q.InsertOrganization(ctx, svcauth.Organization{ID: "org_1", Name: "One", CreatedAt: at}),
		q.InsertClient(ctx, store.ClientRow{ID: g.client, OrgID: "org_1", Kind: store.ClientServiceAccount, Name: "ci", CreatedAt: at}),
		q.InsertSecret(ctx, store.SecretRow{ID: "sec_1", ClientID: g.client, OrgID: "org_1", Scheme: keyring.SchemeHMAC, Hash: g.cfg.Keyring.HashSecret(g.secret), CreatedAt: at}),
	}
	for i := range 5 {
		id := fmt.Sprint("role_", i)
		errs = append(errs, q.InsertRole(ctx, store.RoleRow{ID: id, OrgID: "org_1", Kind: store.RoleCustom, Name: id, CreatedAt: at}, []string{"a:a", "b:b"}),
			q.PutGrant(ctx, store.GrantRow{OrgID: "org_1", PrincipalID: g.client, RoleID: id, GrantedAt: at}))
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// asks returns how many queries a request with this credential leads to.
func (g *guesses) asks(id string, secret svcauth.Secret) (int64, *Error) {
	before := g.queries.Load()
	_, refusal := g.Authenticate(context.Background(), Credential{ClientID: id, Secret: secret})
	return g.queries.Load() - before, refusal
}

// A wrong secret leads to the same reads, at the first request as at later ones,
// whether there is such a client or not; what a client holds is read for nobody
// but a caller that knew its secret.
func TestAWrongSecretReadsTheSameForAnyClient(t *testing.T) {
	g := newGuesses(t)
	unknown, wrong := svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret()
	for _, step := range []struct {
		name string
		wait time.Duration
		want int64
	}{{"first", 0, 1}, {"from memory, after one look", 2 * time.Second, 1}, {"within a second of that look", 0, 0}, {"later", 2 * time.Second, 1}} {
		g.now.Add(int64(step.wait))
		for _, id := range []string{g.client, unknown} {
			reads, refusal := g.asks(id, wrong)
			require.Equal(t, CodeInvalidClient, refusal.Code)
			require.Equal(t, step.want, reads, "%s: %s", step.name, id)
		}
		g.now.Add(1)
	}
	known, err := g.account(t.Context(), g.client)
	require.NoError(t, err)
	require.Nil(t, known.rights.Load())

	reads, refusal := g.asks(g.client, g.secret)
	require.Nil(t, refusal)
	require.Positive(t, reads, "the catalogue and the roles")
	reads, refusal = g.asks(g.client, g.secret)
	require.Nil(t, refusal)
	require.Zero(t, reads)
	client, err := g.Service.client(t.Context(), g.client)
	require.NoError(t, err)
	require.Len(t, client.held.Roles, 5)

	g.now.Add(int64(2 * time.Second))
	reads, _ = g.asks(g.client, wrong)
	require.EqualValues(t, 1, reads)
	reads, refusal = g.asks(g.client, g.secret)
	require.Nil(t, refusal)
	require.Zero(t, reads, "a stranger's wrong secret costs the right client nothing")
}

// A secret that was made on another node a moment ago works here at once, though
// a stranger on another network has just had the client looked at.
func TestAStrangersGuessHidesNoNewSecret(t *testing.T) {
	g := newGuesses(t)
	guess := Credential{ClientID: g.client, Secret: svcauth.NewSecret(), IP: netip.MustParseAddr("192.0.2.1")}
	right := Credential{ClientID: g.client, Secret: g.secret, IP: netip.MustParseAddr("198.51.100.1")}
	_, refusal := g.Authenticate(t.Context(), right)
	require.Nil(t, refusal)
	g.now.Add(int64(2 * time.Second))
	_, refusal = g.Authenticate(t.Context(), guess)
	require.Equal(t, CodeInvalidClient, refusal.Code)

	right.Secret = svcauth.NewSecret()
	require.NoError(t, g.db.Write(t.Context(), func(q *store.Q) error {
		return q.InsertSecret(t.Context(), store.SecretRow{ID: "sec_2", ClientID: g.client, OrgID: "org_1", Scheme: keyring.SchemeHMAC,
			Hash: g.cfg.Keyring.HashSecret(right.Secret), CreatedAt: time.Now()})
	}))
	g.now.Add(int64(time.Millisecond))
	before := g.queries.Load()
	_, refusal = g.Authenticate(t.Context(), guess)
	require.Equal(t, CodeInvalidClient, refusal.Code)
	require.Equal(t, before, g.queries.Load(), "one look a second is what a network gets")
	_, refusal = g.Authenticate(t.Context(), right)
	require.Nil(t, refusal)
}

// What is read of a client's roles while they change is not remembered, and what
// is remembered is forgotten when they do.
func TestRightsAreForgottenWithTheirRoles(t *testing.T) {
	g := newGuesses(t)
	_, refusal := g.asks(g.client, g.secret)
	require.Nil(t, refusal)
	reads, _ := g.asks(g.client, g.secret)
	require.Zero(t, reads)
	g.Apply(t.Context(), []store.Change{{Kind: store.ChangeRole, Subject: "role_3"}})
	reads, refusal = g.asks(g.client, g.secret)
	require.Nil(t, refusal)
	require.EqualValues(t, 2, reads, "the client and its roles")
	g.Apply(t.Context(), []store.Change{{Kind: store.ChangeRole, Subject: "another"}})
	reads, _ = g.asks(g.client, g.secret)
	require.Zero(t, reads)

	a, err := g.account(t.Context(), g.client)
	require.NoError(t, err)
	a.rights.Store(nil)
	_, err = g.clients.withRights(t.Context(), a, func(ctx context.Context) (*Client, error) {
		g.Apply(t.Context(), []store.Change{{Kind: store.ChangeRole, Subject: "role_3"}})
		return g.loadRights(ctx, a)
	})
	require.NoError(t, err)
	require.Nil(t, a.rights.Load())
}
