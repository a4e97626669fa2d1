package changelog_test

import (
	"context"
	"database/sql"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/changelog"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/verify"
)

// request is the place of a request of one organization.
type request struct{ room bool }

func (request) Release()               {}
func (r request) Await() bool          { return r.room }
func (request) Caller() (string, bool) { return "org_crowd", false }

// TestTheLogIsReadInNobodysTurn has one organization wait for as many reads as
// it may. The change log, for whose reading all wait, is read all the same,
// whoever asked for it first; and who may not wait, does not wait for that.
func TestTheLogIsReadInNobodysTurn(t *testing.T) {
	url := schema.Postgres(t)
	const conns, readers, crowd = 8, 4, 24 // of eight two write, and two are for the server
	db, err := store.Open(store.Config{URL: url, MaxConns: conns, Patience: schema.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	shared, err := cache.New(cache.Config{})
	require.NoError(t, err)
	f := changelog.New(changelog.Config{Store: db, Cache: shared, Revocations: verify.NewRevocationSet(),
		Clock: time.Now, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, f.Load(t.Context()))

	stop := lockTable(t, url, "organization")
	within := limits.WithPlace(t.Context(), request{true})
	ended := make(chan error, crowd)
	for range crowd {
		go func() {
			_, err := db.Read().Organization(within, "org_crowd")
			ended <- err
		}()
	}
	require.Eventually(t, func() bool {
		c := db.Connections()
		return c.InUse >= readers && c.Waits >= crowd-readers
	}, time.Minute, time.Millisecond, "all of them to wait")
	read := make(chan error, 2)
	go func() { read <- f.CatchUp(within) }()
	go func() { read <- f.CatchUp(context.Background()) }()
	for range 2 {
		select {
		case err := <-read:
			require.NoError(t, err)
		case err := <-ended:
			t.Fatalf("the log was not read before the crowd was: %v", err)
		}
	}
	require.ErrorIs(t, f.CatchUp(limits.WithPlace(t.Context(), request{false})), store.ErrCrowded)
	stop()
	for range crowd {
		<-ended
	}
}

// lockTable has everybody wait who reads a table, until stop.
func lockTable(t *testing.T, url, table string) (stop func()) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec(`LOCK TABLE ` + table + ` IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback()) }
}

// failures counts the calls that the database did not answer.
type failures struct{ atomic.Int64 }

// DatabaseCalled implements [store.Observer].
func (f *failures) DatabaseCalled(_ context.Context, _ string, _ time.Time, err error) {
	if err != nil {
		f.Add(1)
	}
}

// MigrationWaits implements [store.Observer].
func (*failures) MigrationWaits(string) {}

// TestAReadThatFailedIsSharedToo: while the database hangs, those who want the
// log do not wait for it one after the other.
func TestAReadThatFailedIsSharedToo(t *testing.T) {
	t.Parallel()
	url := schema.Postgres(t)
	failed := &failures{}
	db, err := store.Open(store.Config{URL: url, Observer: failed, Patience: schema.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	shared, err := cache.New(cache.Config{})
	require.NoError(t, err)
	f := changelog.New(changelog.Config{Store: db, Cache: shared, Revocations: verify.NewRevocationSet(),
		Clock: time.Now, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, f.Load(t.Context()))
	stop := lockTable(t, url, "change")
	const callers = 6
	read := make(chan error, callers)
	for range callers {
		go func() { read <- f.CatchUp(context.Background()) }()
	}
	for range callers {
		require.ErrorIs(t, <-read, store.ErrUnavailable)
	}
	require.LessOrEqual(t, failed.Load(), int64(2), "the first one's, and one for those who came meanwhile")
	stop()
	require.NoError(t, f.CatchUp(t.Context()))
}
