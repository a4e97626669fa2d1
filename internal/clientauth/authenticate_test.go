package clientauth

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// guesses is an authenticator over a database whose queries are counted, with a
// client that holds some roles.
type guesses struct {
	*Authenticator
	clients *Clients
	keys    *keyring.Keyring
	db      *store.Store
	queries atomic.Int64
	now     atomic.Int64
	client  string
	secret  svcauth.Secret
}

func newGuesses(t *testing.T) *guesses {
	t.Helper()
	g := &guesses{}
	g.now.Store(time.Now().UnixNano())
	clock := func() time.Time { return time.Unix(0, g.now.Load()) }
	db, err := store.Open(store.Config{URL: schema.SQLite(t),
		MaxConns: readersOfGuesses * 2, Observer: g, Patience: schema.Patience})
	require.NoError(t, err)
	g.db = db
	t.Cleanup(func() { _ = db.Close() })
	g.keys, err = keyring.New(keyring.Config{
		Store: db, MasterKey: make([]byte, 32), Algorithm: "ES256", RotateEvery: 24 * time.Hour,
		PublishBefore: time.Hour,
		Clock:         clock,
	})
	require.NoError(t, err)
	require.NoError(t, g.keys.Load(t.Context()))
	shared, err := cache.New(cache.Config{WrongPerClient: 1000, WrongPerAddress: 1000})
	require.NoError(t, err)
	g.clients = NewClients(ClientsConfig{Store: db, ChangeLog: currentLog{}, Clock: clock})
	g.Authenticator = New(Config{
		Methods: Methods(g.keys), Clients: g.clients, Store: db, Cache: shared, Clock: clock,
		Logger: slog.New(slog.DiscardHandler),
	})
	g.client, g.secret = svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret()
	require.NoError(t, db.Write(t.Context(), func(q *store.Q) error { return g.fill(t.Context(), q) }))
	g.queries.Store(0)
	return g
}

// currentLog is a change log that is never behind.
type currentLog struct{}

func (currentLog) Behind() time.Duration { return 0 }

// readersOfGuesses is how many connections there are for queries: one is for
// the operator and the server itself alone.
const readersOfGuesses = 2

// DatabaseCalled counts a query.
func (g *guesses) DatabaseCalled(context.Context, string, time.Time, error) { g.queries.Add(1) }

// MigrationWaits implements [store.Observer].
func (g *guesses) MigrationWaits(string) {}

func (g *guesses) fill(ctx context.Context, q *store.Q) error {
	at := time.Now()
	errs := []error{
		q.InsertOrganization(ctx, svcauth.Organization{ID: "org_1", Name: "One", CreatedAt: at}),
		q.InsertClient(ctx, store.ClientRow{ID: g.client, OrgID: "org_1", Kind: store.ClientServiceAccount, Name: "ci",
			CreatedAt: at}),
		q.InsertCredential(ctx, g.row("sec_1", g.secret)),
	}
	for i := range 5 {
		id := fmt.Sprint("role_", i)
		errs = append(errs, q.InsertRole(ctx, store.RoleRow{ID: id, OrgID: "org_1", Kind: store.RoleCustom, Name: id,
			CreatedAt: at}, []string{"a:a", "b:b"}),
			q.PutGrant(ctx, store.GrantRow{OrgID: "org_1", PrincipalID: g.client, RoleID: id, GrantedAt: at}))
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *guesses) row(id string, secret svcauth.Secret) store.CredentialRow {
	return store.CredentialRow{ID: id, ClientID: g.client, OrgID: "org_1", Kind: store.CredentialSecret,
		Material: g.keys.HashSecret(secret), CreatedAt: time.Now()}
}

// rights returns what the client's roles give, which it keeps with the client.
func (g *guesses) rights(ctx context.Context, client *Client) ([]store.HeldRole, error) {
	if kept, ok := client.Rights().([]store.HeldRole); ok {
		return kept, nil
	}
	roles, _, err := g.clients.Roles(ctx, client.Credentials)
	if err == nil {
		client.Keep(roles)
	}
	return roles, err
}

// asks returns how many queries a request with this credential leads to, and if
// it was right the reading of what the client holds.
func (g *guesses) asks(t *testing.T, id string, secret svcauth.Secret) (int64, *oautherr.Error) {
	before := g.queries.Load()
	client, refusal := g.Authenticate(context.Background(), &Request{ClientID: id, Secret: secret})
	if refusal == nil {
		_, err := g.rights(t.Context(), client.Client)
		require.NoError(t, err)
	}
	return g.queries.Load() - before, refusal
}

// A wrong secret leads to the same reads, at the first request as at later
// ones, whether there is such a client or not; what a client holds is read for
// nobody but a caller that knew its secret.
func TestAWrongSecretReadsTheSameForAnyClient(t *testing.T) {
	g := newGuesses(t)
	unknown, wrong := svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret()
	for _, step := range []struct {
		name string
		wait time.Duration
		want int64
	}{{"first", 0, 1}, {"from memory, after one look", 2 * time.Second, 1}, {"within a second of that look", 0, 0},
		{"later", 2 * time.Second, 1}} {
		g.now.Add(int64(step.wait))
		for _, id := range []string{g.client, unknown} {
			reads, refusal := g.asks(t, id, wrong)
			require.Equal(t, oautherr.CodeInvalidClient, refusal.Code)
			require.Equal(t, step.want, reads, "%s: %s", step.name, id)
		}
		g.now.Add(1)
	}
	known, err := g.clients.Get(t.Context(), g.client)
	require.NoError(t, err)
	require.Nil(t, known.Rights())

	reads, refusal := g.asks(t, g.client, g.secret)
	require.Nil(t, refusal)
	require.Positive(t, reads, "its roles")
	reads, refusal = g.asks(t, g.client, g.secret)
	require.Nil(t, refusal)
	require.Zero(t, reads)
	held, err := g.rights(t.Context(), known)
	require.NoError(t, err)
	require.Len(t, held, 5)

	g.now.Add(int64(2 * time.Second))
	reads, _ = g.asks(t, g.client, wrong)
	require.EqualValues(t, 1, reads)
	reads, refusal = g.asks(t, g.client, g.secret)
	require.Nil(t, refusal)
	require.Zero(t, reads, "a stranger's wrong secret costs the right client nothing")
}

// A secret that was made on another node a moment ago works here at once,
// though a stranger on another network has just had the client looked at.
func TestAStrangersGuessHidesNoNewSecret(t *testing.T) {
	g := newGuesses(t)
	guess := &Request{ClientID: g.client, Secret: svcauth.NewSecret(), IP: netip.MustParseAddr("192.0.2.1")}
	right := &Request{ClientID: g.client, Secret: g.secret, IP: netip.MustParseAddr("198.51.100.1")}
	_, refusal := g.Authenticate(t.Context(), right)
	require.Nil(t, refusal)
	g.now.Add(int64(2 * time.Second))
	_, refusal = g.Authenticate(t.Context(), guess)
	require.Equal(t, oautherr.CodeInvalidClient, refusal.Code)

	right.Secret = svcauth.NewSecret()
	require.NoError(t, g.db.Write(t.Context(), func(q *store.Q) error {
		return q.InsertCredential(t.Context(), g.row("sec_2", right.Secret))
	}))
	g.now.Add(int64(time.Millisecond))
	before := g.queries.Load()
	_, refusal = g.Authenticate(t.Context(), guess)
	require.Equal(t, oautherr.CodeInvalidClient, refusal.Code)
	require.Equal(t, before, g.queries.Load(), "one look a second is what a network gets")
	_, refusal = g.Authenticate(t.Context(), right)
	require.Nil(t, refusal)
}
