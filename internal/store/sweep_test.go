package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// 100,000 expired rows of each kind go in batches, and writers get in between: no write fails, and writes go on from the first batch to the last.
func TestSweepOfManyRowsLocksNobodyOut(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		rows := 100_000
		if testing.Short() {
			rows = 5_000
		}
		many := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1000000 UNION ALL SELECT i+1 FROM n WHERE i < %d) `, 1_000_000+rows-1)
		gone := moment0.Add(-time.Hour).UnixMilli()
		hash := `CAST(CAST(i AS TEXT) AS BLOB)`
		if s.Postgres() {
			hash = `CAST(CAST(i AS TEXT) AS BYTEA)`
		}
		for _, text := range []string{
			`INSERT INTO change (seq, org_id, kind, subject, payload, expires_at_ms, at_ms) ` + many + `SELECT i, 'org_a', 'revocation', 'x', '{}', $1, $1 FROM n`,
			`INSERT INTO session (token_hash, data, expires_at_ms) ` + many + `SELECT CAST(i AS TEXT), ` + hash + `, $1 FROM n`,
			`INSERT INTO invitation (token_hash, org_id, member_id, kind, expires_at_ms) ` + many + `SELECT ` + hash + `, 'org_a', 'mem_a', 'invite', $1 FROM n`,
			`INSERT INTO audit_event (id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind, target_name, outcome, reason, before_json, after_json, ip, request_id) ` +
				many + `SELECT 'evt_' || CAST(i AS TEXT), 'org_a', $1, '', '', '', '', '', '', '', '', '', '', '', '', '', '' FROM n`,
		} {
			_, err := s.write.ExecContext(t.Context(), text, gone)
			require.NoError(t, err)
		}
		var written atomic.Int64
		var worst time.Duration
		stop := make(chan struct{})
		var writers sync.WaitGroup
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now()
				must(t, s, func(ctx context.Context, q *Q) error {
					return q.InsertAuditEvent(ctx, svcauth.AuditEvent{ID: fmt.Sprint("evt_new", i), OrganizationID: "org_a", Time: moment0})
				})
				worst = max(worst, time.Since(began))
				written.Add(1)
			}
		})
		began, batches, between := time.Now(), 0, 0
		for deleted := int64(1); deleted > 0; batches++ {
			before := written.Load()
			require.NoError(t, s.WriteAside(t.Context(), func(q *Q) (err error) { deleted, err = q.Sweep(t.Context(), moment0, moment0, 500); return err }))
			require.LessOrEqual(t, deleted, int64(4*500), "a batch is small")
			if written.Load() > before {
				between++
			}
		}
		took := time.Since(began)
		close(stop)
		writers.Wait()
		t.Logf("%d rows in %d batches in %v; meanwhile %d writes, the longest took %v; in %d batches a writer got in", 4*rows, batches, took.Round(time.Millisecond), written.Load(), worst.Round(time.Millisecond), between)
		require.GreaterOrEqual(t, batches, rows/500)
		require.Greater(t, between, batches/10, "writers got in all along")
		for _, table := range []string{"change", "session", "invitation"} {
			var n int
			require.NoError(t, s.read.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM `+table+` WHERE expires_at_ms <= $1`, gone).Scan(&n))
			require.Zero(t, n, table)
		}
	})
}
