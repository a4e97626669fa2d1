package clientauth

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
)

// alone returns the Uses of a process alone, which runs, and its database.
func alone(t *testing.T) (*Uses, *store.Store) {
	t.Helper()
	db, err := store.Open(store.Config{URL: schema.SQLite(t)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	memory, err := cache.New(cache.Config{})
	require.NoError(t, err)
	u := NewUses(UsesConfig{Cache: memory, Store: db, Alone: true, Clock: time.Now,
		Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, u.Load(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- u.Run(ctx) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-ended) })
	require.Eventually(t, func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.open
	}, 30*time.Second, time.Millisecond)
	return u, db
}

func usedOnce(client, org, jti string) Once {
	now := time.Now()
	return Once{Client: &Client{Credentials: &store.Credentials{ClientID: client, OrgID: org}}, JTI: jti,
		IssuedAt: now.Truncate(time.Second), ExpiresAt: now.Add(4 * time.Minute), Skew: assertionSkew}
}

// An organization that floods uses up its own part of the memory: the database
// is asked for its assertions, and for those of no other, and none passes
// twice.
func TestAFloodOfAssertionsCostsOthersNothing(t *testing.T) {
	u, db := alone(t)
	ctx := t.Context()
	var flood sync.WaitGroup
	for worker := range 40 {
		flood.Go(func() {
			for n := range 500 {
				once := usedOnce(fmt.Sprint("sa_flood", worker%4), "org_flood", fmt.Sprint(worker, " ", n))
				if err := u.Use(ctx, once); err != nil {
					t.Error(err)
				}
			}
		})
	}
	uses := func(client string) int64 {
		n, err := db.Read().CountAssertionUses(ctx, client, time.Now(), 10_000)
		require.NoError(t, err)
		return n
	}
	for n := range 400 {
		once := usedOnce("sa_other", "org_other", fmt.Sprint(n))
		require.NoError(t, u.Use(ctx, once))
		require.ErrorContains(t, u.Use(ctx, once), "used before")
	}
	flood.Wait()
	for n := range 400 {
		once := usedOnce("sa_other", "org_other", fmt.Sprint("after ", n))
		require.NoError(t, u.Use(ctx, once))
		require.ErrorContains(t, u.Use(ctx, once), "used before")
	}
	require.Zero(t, uses("sa_other"), "it is remembered, and written later")
	require.Positive(t, uses("sa_flood0"))
	for worker := range 40 {
		once := usedOnce(fmt.Sprint("sa_flood", worker%4), "org_flood", fmt.Sprint(worker, " ", 499))
		require.ErrorContains(t, u.Use(ctx, once), "used before")
	}
}

// What was made by a clock that is ahead is written at once: the process after
// a crash could not tell that it was made before.
func TestWhatIsMadeAheadIsWrittenAtOnce(t *testing.T) {
	u, db := alone(t)
	once := usedOnce("sa_ahead", "org_1", "a")
	once.IssuedAt = time.Now().Add(20 * time.Second)
	once.ExpiresAt = once.IssuedAt.Add(time.Minute)
	require.NoError(t, u.Use(t.Context(), once))
	n, err := db.Read().CountAssertionUses(t.Context(), "sa_ahead", time.Now(), 10)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

// Who starts anew while the clock is ahead refuses nothing for long once it is
// right: not the process that found it ahead, nor one after it.
func TestAGapThatWasNotedByAClockThatWasAhead(t *testing.T) {
	db, err := store.Open(store.Config{URL: schema.SQLite(t)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	ahead := 8 * time.Hour
	clock := func() time.Time { return time.Now().Add(ahead) }
	starts := func() *Uses {
		memory, err := cache.New(cache.Config{Clock: clock})
		require.NoError(t, err)
		u := NewUses(UsesConfig{Cache: memory, Store: db, Alone: true, Clock: clock,
			Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, u.Load(t.Context()))
		return u
	}
	require.NoError(t, db.OpenUses(t.Context(), time.Now().Add(-time.Minute)))
	require.NoError(t, db.Write(t.Context(), func(q *store.Q) error {
		return q.NoteRestore(t.Context(), clock())
	}))
	found := starts()
	ahead = 0
	old := usedOnce("sa_1", "org_1", "old")
	old.IssuedAt = old.IssuedAt.Add(-time.Minute)
	for name, u := range map[string]*Uses{"found": found, "next": starts()} {
		require.ErrorContains(t, u.Use(t.Context(), old), "make a new assertion", name)
		once := usedOnce("sa_1", "org_1", name)
		once.IssuedAt = once.IssuedAt.Add(2 * time.Second)
		require.NoError(t, u.Use(t.Context(), once), name)
	}
}
