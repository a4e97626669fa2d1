package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/telemetry"
)

// writing is an App that has a database, and nothing else.
func writing(t *testing.T) *App {
	t.Helper()
	a := &App{logger: slog.New(slog.DiscardHandler), metrics: telemetry.NewMetrics("test")}
	a.outage = &outage{logger: a.logger}
	a.writes = &writeHealth{logger: a.logger, outage: a.outage}
	db, err := store.Open(store.Config{URL: "sqlite://" + t.TempDir() + "/db", Observer: observer{a}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.Migrate(t.Context())
	require.NoError(t, err)
	a.store = db
	return a
}

// TestWhoHangsUpSaysNothingOfTheDatabase has callers go away within a change,
// and between its last query and the commit.
func TestWhoHangsUpSaysNothingOfTheDatabase(t *testing.T) {
	a := writing(t)
	for name, do := range map[string]func(ctx context.Context, q *store.Q) error{
		"before a query": func(ctx context.Context, q *store.Q) error { _, err := q.LastChange(ctx); return err },
		"before the commit": func(context.Context, *store.Q) error {
			time.Sleep(50 * time.Millisecond) // until it is rolled back
			return nil
		},
	} {
		ctx, hangUp := context.WithCancel(t.Context())
		err := a.store.Write(ctx, func(q *store.Q) error { hangUp(); return do(ctx, q) })
		require.Error(t, err, name)
		_, err = a.writes.last()
		require.NoError(t, err, name)
	}
}

// TestFailedChangeIsTriedAgainSoon does not have /readyz tell of one failure
// until some seconds have passed since the last success.
func TestFailedChangeIsTriedAgainSoon(t *testing.T) {
	a := writing(t)
	require.NoError(t, a.store.Write(t.Context(), func(*store.Q) error { return nil }))
	a.writes.record(store.ErrUnavailable)
	a.tryChange(t.Context())
	_, err := a.writes.last()
	require.NoError(t, err)
}
