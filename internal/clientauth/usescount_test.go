package clientauth

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
)

// reads counts the statements that a store is asked for outside a transaction.
type reads struct{ n atomic.Int64 }

func (r *reads) DatabaseCalled(_ context.Context, what string, _ time.Time, _ error) {
	if what == store.CallQuery {
		r.n.Add(1)
	}
}

func (*reads) MigrationWaits(string) {}

// A client's long-lived assertions are counted now and then, and no sooner than
// it has as many as it may is it refused.
func TestUsesAreNotCountedForEach(t *testing.T) {
	asked := &reads{}
	db, err := store.Open(store.Config{URL: schema.SQLite(t), Observer: asked})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	memory, err := cache.New(cache.Config{})
	require.NoError(t, err)
	var later atomic.Int64
	u := NewUses(UsesConfig{Cache: memory, Store: db, Logger: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
	require.NoError(t, u.Load(t.Context()))
	long := func(jti string) error {
		once := usedOnce("sa_1", "org_1", jti)
		once.ExpiresAt = once.ExpiresAt.Add(time.Hour)
		return u.Use(t.Context(), once)
	}
	rows := make([]store.AssertionUse, maxUses-150)
	for i := range rows {
		rows[i] = store.AssertionUse{ID: fmt.Sprint(i), ClientID: "sa_1", Until: time.Now().Add(time.Hour)}
	}
	for part := range slices.Chunk(rows, store.MaxAssertionUses) {
		_, err := db.UseAssertions(t.Context(), part, time.Now())
		require.NoError(t, err)
	}
	began := asked.n.Load()
	for i := range 100 {
		require.NoError(t, long(fmt.Sprint(i)))
	}
	require.Less(t, asked.n.Load()-began, int64(50), "counted for some")
	for i := 100; i < 150; i++ {
		require.NoError(t, long(fmt.Sprint(i)))
	}
	require.ErrorContains(t, long("one more"), "10000 assertions that have not")
	later.Store(int64(2 * time.Hour))
	require.NoError(t, long("when they are over"))
}
