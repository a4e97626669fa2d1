package changelog_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/changelog"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// node reads the change log through a database connection of its own.
type node struct {
	*changelog.Log
	db      *store.Store
	revoked *verify.RevocationSet

	mu      sync.Mutex
	entries []store.Change // as Apply got them
	early   []store.Change // as ApplyEarly did
}

func (n *node) Apply(_ context.Context, entries []store.Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.entries = append(n.entries, entries...)
}

func (n *node) ApplyEarly(entries []store.Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.early = append(n.early, entries...)
}

func (n *node) Reset(context.Context, int64) {}

// newNode opens the database at path and reads its change log. It exchanges
// notifications through the shared cache.
func newNode(t *testing.T, path string, shared *cache.Cache) *node {
	t.Helper()
	n := &node{revoked: verify.NewRevocationSet()}
	var err error
	n.db, err = store.Open(store.Config{URL: "sqlite://" + path, Patience: schema.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.db.Close() })
	_, err = n.db.Migrate(t.Context())
	require.NoError(t, err)
	n.Log = changelog.New(changelog.Config{
		Store: n.db, Cache: shared, Revocations: n.revoked, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	n.db.Listen(n.Log)
	n.Listen(n)
	n.ListenEarly(n)
	require.NoError(t, n.Load(t.Context()))
	return n
}

func (n *node) revoke(t *testing.T, jti string) {
	t.Helper()
	payload, err := json.Marshal(svcauth.Revocation{JTI: jti, Exp: time.Now().Add(time.Hour).Unix()})
	require.NoError(t, err)
	require.NoError(t, n.db.Write(t.Context(), func(q *store.Q) error {
		_, err := q.AddChange(t.Context(), store.Change{OrgID: "org_a", Kind: store.ChangeRevocation,
			Payload: string(payload), ExpiresAt: time.Now().Add(time.Hour)})
		return err
	}))
}

func (n *node) denies(jti string) bool {
	_, revoked := n.revoked.Revoked(&verify.Claims{JTI: jti})
	return revoked
}

func (n *node) received() (entries, early int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.entries), len(n.early)
}

func run(t *testing.T, nodes ...*node) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var working sync.WaitGroup
	for _, n := range nodes {
		working.Go(func() { _ = n.Run(ctx) })
	}
	t.Cleanup(func() { stop(); working.Wait() })
}

func newCache(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Config{Clock: time.Now})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAWriterActsOnItsChangeBeforeWriteReturns(t *testing.T) {
	a := newNode(t, filepath.Join(t.TempDir(), "svcauth.db"), newCache(t))
	a.revoke(t, "one")
	require.True(t, a.denies("one"))
	entries, early := a.received()
	require.Equal(t, 1, entries)
	require.Zero(t, early, "what was read from the table comes once")
}

func TestANotifiedNodeReadsTheTable(t *testing.T) {
	path, shared := filepath.Join(t.TempDir(), "svcauth.db"), newCache(t)
	a, b := newNode(t, path, shared), newNode(t, path, shared)
	run(t, a, b)
	a.revoke(t, "one")
	require.Eventually(t, func() bool { return b.denies("one") }, 20*time.Second, time.Millisecond)
	_, early := b.received()
	require.Zero(t, early)
}

// A database that dies right after a commit must not delay a revocation that
// was acknowledged: the notification carries it.
func TestARevocationHoldsThoughTheTableCanNotBeReadBack(t *testing.T) {
	path, shared := filepath.Join(t.TempDir(), "svcauth.db"), newCache(t)
	a, b := newNode(t, path, shared), newNode(t, path, shared)
	run(t, a, b)
	require.NoError(t, b.db.Close()) // for b it is gone
	a.revoke(t, "one")
	require.Eventually(t, func() bool { return b.denies("one") }, 20*time.Second, time.Millisecond)
	entries, early := b.received()
	require.Zero(t, entries)
	require.Equal(t, 1, early)
	require.Equal(t, "org_a", b.early[0].OrgID, "a tenant's stream must not get another's")

	require.NoError(t, a.db.Close())
	payload, err := json.Marshal(svcauth.Revocation{JTI: "two", Exp: time.Now().Add(time.Hour).Unix()})
	require.NoError(t, err)
	a.OnCommitted(t.Context(),
		[]store.Change{{Seq: 100, OrgID: "org_a", Kind: store.ChangeRevocation, Payload: string(payload)}})
	require.True(t, a.denies("two"), "on the node that wrote it, before its answer")
	require.Eventually(t, func() bool { return b.denies("two") }, 20*time.Second, time.Millisecond)
}

// TestEarlyRevocationsAreForgottenIfTheTableLacksThem announces one that is in
// no table: a transaction that a failover lost, or a message from before a
// restore, sent again. It holds while the table can't be read, and no longer.
func TestEarlyRevocationsAreForgottenIfTheTableLacksThem(t *testing.T) {
	path, shared := filepath.Join(t.TempDir(), "svcauth.db"), newCache(t)
	a := newNode(t, path, shared)
	run(t, a)
	a.revoke(t, "true")
	entry := func(jti string) string {
		return `{"jti":"` + jti + `","exp":` + strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10) + `}`
	}
	table := func(statement string) {
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		defer db.Close()
		_, err = db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	table(`ALTER TABLE change RENAME TO hidden`)
	require.NoError(t, shared.Publish(t.Context(), cache.ChannelChanges,
		[]byte(`{"seq":900,"revocations":[{"seq":2,"org":"org_a","entry":`+entry("next")+
			`},{"seq":900,"org":"org_a","entry":`+entry("never")+`}]}`)))
	require.Eventually(t, func() bool { return a.denies("next") && a.denies("never") }, 20*time.Second,
		time.Millisecond)
	_, early := a.received()
	require.Equal(t, 2, early)
	table(`ALTER TABLE hidden RENAME TO change`)
	a.revoke(t, "next") // which comes from the table now
	require.Eventually(t, func() bool { return !a.denies("never") }, 20*time.Second, time.Millisecond)
	require.True(t, a.denies("true"))
	require.True(t, a.denies("next"))
}

func TestForgedNotificationsOnlyDeny(t *testing.T) {
	shared := newCache(t)
	a := newNode(t, filepath.Join(t.TempDir(), "svcauth.db"), shared)
	run(t, a)
	require.NoError(t, a.db.Close())
	for _, msg := range []string{``, `[]`, `{"seq":9}`, `{"seq":9,"revocations":[{"org":"org_a","entry":{}}]}`,
		`{"seq":9,"revocations":[{"org":"x","entry":{"jti":"a","exp":1}}]}`} {
		require.NoError(t, shared.Publish(t.Context(), cache.ChannelChanges, []byte(msg)))
	}
	require.Never(t, func() bool { return a.denies("b") }, 300*time.Millisecond, 50*time.Millisecond)
}
