package clientauth

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
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
	db := usesStore(t, store.Config{Observer: asked})
	var later atomic.Int64
	u := process(t, db, false, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
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
	began = asked.n.Load()
	for i := range 100 {
		require.ErrorContains(t, long(fmt.Sprint("one more ", i)), "10000 assertions that have not")
	}
	require.Less(t, asked.n.Load()-began, int64(50), "counted for some that are refused")
	later.Store(int64(2 * time.Hour))
	require.NoError(t, long("when they are over"))
}

// Beyond as many clients as there is room for, no use looks through all that
// are counted: that is done now and then, for all.
func TestUsesOfManyClientsLookThroughTheCountedOnce(t *testing.T) {
	now := time.Now()
	u, _ := alone(t)
	crowd := func(n int) string { return fmt.Sprint("sa_crowd", n) }
	for n := range maxCounted {
		require.NoError(t, u.checkCount(t.Context(), crowd(n), now))
	}
	require.Len(t, u.counted, maxCounted)
	looks := 0
	for n := range 100 {
		over := u.counted[crowd(n)]
		over.until = now.Add(-time.Second)
		u.counted[crowd(n)] = over
		require.NoError(t, u.checkCount(t.Context(), fmt.Sprint("sa_other", n), now))
		if _, left := u.counted[crowd(n)]; !left {
			looks++
		}
	}
	require.LessOrEqual(t, looks, 1)
	require.NoError(t, u.checkCount(t.Context(), "sa_later", now.Add(countedFor)))
	require.Contains(t, u.counted, "sa_later")
	require.Len(t, u.counted, 1, "the others are over")
}
