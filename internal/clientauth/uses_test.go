package clientauth

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
)

// usesStore returns an empty database.
func usesStore(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
	cfg.URL, cfg.Patience = schema.SQLite(t), schema.Patience
	db, err := store.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// process returns the Uses of a process that begins on db, alone or not, and
// has nothing in memory. It does not run yet.
func process(t *testing.T, db *store.Store, alone bool, clock func() time.Time) *Uses {
	t.Helper()
	memory, err := cache.New(cache.Config{Clock: clock})
	require.NoError(t, err)
	u := NewUses(UsesConfig{
		Cache: memory, Store: db, Alone: alone, Clock: clock, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, u.Load(t.Context()))
	return u
}

// alone returns the Uses of a process alone, which runs, and its database.
func alone(t *testing.T) (*Uses, *store.Store) {
	t.Helper()
	db := usesStore(t, store.Config{})
	u := process(t, db, true, time.Now)
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

// Clients that flood use up their own part of the memory: the database is asked
// for their assertions, and for those of no other, be it of their organization
// or of another one, and none passes twice. Those in the database are counted.
func TestAFloodOfAssertionsCostsOthersNothing(t *testing.T) {
	u, db := alone(t)
	ctx := t.Context()
	var flood sync.WaitGroup
	for worker := range 40 {
		flood.Go(func() {
			for n := range 500 {
				once := usedOnce(fmt.Sprint("sa_flood", worker%2), "org_flood", fmt.Sprint(worker, " ", n))
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
	others := map[string]string{"sa_other": "org_other", "sa_third": "org_flood"}
	pass := func(when string) {
		for client, org := range others {
			for n := range 400 {
				once := usedOnce(client, org, fmt.Sprint(when, n))
				require.NoError(t, u.Use(ctx, once))
				require.ErrorContains(t, u.Use(ctx, once), "used before")
			}
		}
	}
	pass("during")
	flood.Wait()
	pass("after")
	for client := range others {
		require.Zero(t, uses(client), "those of %s are remembered, and written later", client)
	}
	require.Positive(t, uses("sa_flood0")+uses("sa_flood1"))
	for worker := range 40 {
		once := usedOnce(fmt.Sprint("sa_flood", worker%2), "org_flood", fmt.Sprint(worker, " ", 499))
		require.ErrorContains(t, u.Use(ctx, once), "used before")
	}
	rows := make([]store.AssertionUse, maxUses)
	for i := range rows {
		rows[i] = store.AssertionUse{
			ID: fmt.Sprint(i), ClientID: "sa_flood0", OrgID: "org_flood", Until: time.Now().Add(time.Minute),
		}
	}
	for part := range slices.Chunk(rows, store.MaxAssertionUses) {
		_, err := db.UseAssertions(ctx, part, time.Now())
		require.NoError(t, err)
	}
	u.mu.Lock()
	clear(u.counted) // as after countedFor
	u.mu.Unlock()
	err := u.Use(ctx, usedOnce("sa_flood0", "org_flood", "one more"))
	require.ErrorContains(t, err, "10000 assertions that have not")
	require.NoError(t, u.Use(ctx, usedOnce("sa_third", "org_flood", "one more")))
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

// After a crash nothing from before passes though the clock was behind at first,
// neither once it is right, nor at a process after that which ended well, nor
// at one that has Redis. That is settled then: a later start refuses nothing
// that was made since.
func TestAGapThatWasFoundByAClockThatWasBehind(t *testing.T) {
	db := usesStore(t, store.Config{})
	var behind atomic.Int64
	clock := func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }
	start := func(alone bool) (u *Uses, end func()) {
		u = process(t, db, alone, clock)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- u.Run(ctx) }()
		return u, func() { stop(); require.NoError(t, <-ended) }
	}
	require.NoError(t, db.OpenUses(t.Context(), time.Now()))
	old := usedOnce("sa_1", "org_1", "used before the crash")
	behind.Store(int64(time.Hour))
	found, end := start(true)
	behind.Store(0)
	require.ErrorContains(t, found.Use(t.Context(), old), "make a new assertion")
	end()
	since := usedOnce("sa_1", "org_1", "made since")
	since.IssuedAt = time.Now().Add(time.Second)
	for _, alone := range []bool{false, false, true} {
		u, end := start(alone)
		require.ErrorContains(t, u.Use(t.Context(), old), "make a new assertion")
		since.JTI += " anew"
		require.NoError(t, u.Use(t.Context(), since))
		end()
	}
}

// What was used before a start passes at none after it, though the clock was
// ahead when the process began.
func TestWhatWasUsedBeforeAStartByAClockThatWasAhead(t *testing.T) {
	for _, inRows := range []bool{false, true} {
		db := usesStore(t, store.Config{})
		var ahead atomic.Int64
		clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		one := process(t, db, true, clock)
		if !inRows {
			one.begin(t.Context())
		}
		once := usedOnce("sa_1", "org_1", "a")
		require.NoError(t, one.Use(t.Context(), once))
		one.writeUnwritten(t.Context())
		one.end(t.Context())
		for _, by := range []time.Duration{10 * time.Minute, 24 * time.Hour} {
			ahead.Store(int64(by))
			u := process(t, db, true, clock)
			require.NoError(t, u.Use(t.Context(), Once{Client: once.Client, JTI: "b" + by.String(),
				IssuedAt: clock(), ExpiresAt: clock().Add(time.Minute)}))
			ahead.Store(0)
			require.ErrorContains(t, u.Use(t.Context(), once), "used before", "in rows: %v, ahead by %s", inRows, by)
		}
	}
}

// A process alone that was killed has left a mark, which the next one settles,
// whether it is alone or not.
func TestACrashIsSettledOnce(t *testing.T) {
	db := usesStore(t, store.Config{})
	now := time.Now()
	require.NoError(t, db.OpenUses(t.Context(), now.Add(-time.Hour)))
	for i := range 3 {
		gaps, err := db.UseGaps(t.Context(), now.Add(time.Duration(i)*time.Minute))
		require.NoError(t, err)
		require.Equal(t, i == 0, gaps.Found)
		require.Equal(t, now.UnixMilli(), gaps.Crashed.UnixMilli())
	}
}

// Before a restore an assertion may have been used that was made by a clock
// that is ahead: it does not pass after it.
func TestWhatWasMadeAheadOfARestoreDoesNotPass(t *testing.T) {
	db := usesStore(t, store.Config{})
	now := time.Now()
	require.NoError(t, db.Write(t.Context(), func(q *store.Q) error { return q.NoteRestore(t.Context(), now) }))
	later := now.Add(assertionSkew + 10*time.Second)
	u := process(t, db, false, func() time.Time { return later })
	once := usedOnce("sa_1", "org_1", "made ahead")
	once.IssuedAt = now.Add(assertionSkew - time.Second)
	require.ErrorContains(t, u.Use(t.Context(), once), "make a new assertion")
	once.IssuedAt = now.Add(assertionSkew)
	require.NoError(t, u.Use(t.Context(), once))
}

// Who starts anew while the clock is ahead refuses nothing for long once it is
// right: not the process that found it ahead, nor one after it.
func TestAGapThatWasNotedByAClockThatWasAhead(t *testing.T) {
	db := usesStore(t, store.Config{})
	ahead := 8 * time.Hour
	clock := func() time.Time { return time.Now().Add(ahead) }
	require.NoError(t, db.OpenUses(t.Context(), time.Now().Add(-time.Minute)))
	require.NoError(t, db.Write(t.Context(), func(q *store.Q) error {
		return q.NoteRestore(t.Context(), clock())
	}))
	found := process(t, db, true, clock)
	ahead = 0
	old := usedOnce("sa_1", "org_1", "old")
	old.IssuedAt = old.IssuedAt.Add(-time.Minute)
	for name, u := range map[string]*Uses{"found": found, "next": process(t, db, true, clock)} {
		require.ErrorContains(t, u.Use(t.Context(), old), "make a new assertion", name)
		once := usedOnce("sa_1", "org_1", name)
		once.IssuedAt = once.IssuedAt.Add(2 * time.Second)
		require.ErrorContains(t, u.Use(t.Context(), once), "make a new assertion", "the restore was just before")
		once.IssuedAt = once.IssuedAt.Add(assertionSkew)
		require.NoError(t, u.Use(t.Context(), once), name)
	}
}
