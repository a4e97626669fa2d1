package store

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/template"
)

// TestReadsThatFailLeaveTheirConnection: with one connection in all, each read
// that fails has the next one find it, or another one, fit for use.
func TestReadsThatFailLeaveTheirConnection(t *testing.T) {
	direct := pgtest.URL(t)
	for name, url := range map[string]string{"direct": direct, "pooled": pgtest.PgBouncer(t, direct, nil)} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(Config{URL: url, MaxConns: 1, Patience: template.Patience})
			require.NoError(t, err)
			defer s.Close()
			numbers := func(ctx context.Context, scan func(row) (int64, error), text string) ([]int64, error) {
				return many(ctx, s.Read(), scan, text)
			}
			number := func(r row) (n int64, err error) { return n, r.Scan(&n) }
			fit := func() {
				t.Helper()
				all, err := numbers(t.Context(), number, `SELECT n FROM generate_series(1, 3) n`)
				require.NoError(t, err)
				require.Equal(t, []int64{1, 2, 3}, all)
			}
			fit()

			// After a part of the rows.
			all, err := numbers(t.Context(), number, `SELECT 6 / (20000 - n) FROM generate_series(1, 30000) n`)
			require.ErrorContains(t, err, "division by zero")
			require.Empty(t, all)
			fit()
			bad, seen := errors.New("bad"), 0
			_, err = numbers(t.Context(), func(row) (int64, error) {
				if seen++; seen == 2 {
					return 0, bad
				}
				return 0, nil
			}, `SELECT n FROM generate_series(1, 30000) n`)
			require.ErrorIs(t, err, bad)
			require.Equal(t, 2, seen)
			fit()
			_, err = numbers(t.Context(), number, `SELECT NULL::bigint`)
			require.Error(t, err)
			fit()
			require.Panics(t, func() {
				_, _ = numbers(t.Context(), func(row) (int64, error) { panic("x") }, `SELECT 1`)
			})
			fit()

			// A caller that goes, before and while.
			gone, hangUp := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, hangUp)
			began := time.Now()
			_, err = numbers(gone, number, `SELECT 1 FROM pg_sleep(60)`)
			require.ErrorIs(t, err, context.Canceled)
			require.Less(t, time.Since(began), template.Patience)
			fit()
			_, err = numbers(gone, number, `SELECT 1`)
			require.ErrorIs(t, err, context.Canceled)
			fit()

			// A session that the server has ended.
			killer := open(t, direct)
			pid, err := numbers(t.Context(), number, `SELECT pg_backend_pid()::bigint`)
			require.NoError(t, err)
			ended, err := count(t.Context(), killer.Read(),
				`SELECT COUNT(*) WHERE pg_terminate_backend($1, 5000)`, pid[0])
			require.NoError(t, err)
			require.EqualValues(t, 1, ended)
			if _, err = numbers(t.Context(), number, `SELECT 1`); err != nil {
				require.ErrorIs(t, err, ErrUnavailable, "a caller may try again")
			}
			fit()

			// What stands for nothing.
			nothing, err := many(t.Context(), s.Read(), func(r row) (out [4]bool, err error) {
				var text sql.NullString
				var n sql.NullInt64
				var pointer *string
				var raw []byte
				err = r.Scan(&text, &n, &pointer, &raw)
				return [4]bool{text.Valid, n.Valid, pointer != nil, raw != nil}, err
			}, `SELECT NULL::text, NULL::bigint, NULL::text, NULL::bytea UNION ALL SELECT 'a', 1, 'b', '\x01'::bytea`)
			require.NoError(t, err)
			require.Equal(t, [][4]bool{{}, {true, true, true, true}}, nothing)
		})
	}
}
