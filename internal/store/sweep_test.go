package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// 100,000 expired rows of each kind go in batches, and writers get in between:
// no write fails, and writes go on from the first batch to the last.
func TestSweepOfManyRowsLocksNobodyOut(t *testing.T) {
	needs.Time(t)
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		rows := large(t)
		many := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1000000 UNION ALL SELECT i+1 FROM n WHERE i < %d) `,
			1_000_000+rows-1)
		gone := moment0.Add(-time.Hour).UnixMilli()
		hash := `CAST(CAST(i AS TEXT) AS BLOB)`
		if s.Postgres() {
			hash = `CAST(CAST(i AS TEXT) AS BYTEA)`
		}
		for _, text := range []string{
			`INSERT INTO change (seq, org_id, kind, subject, payload, expires_at_ms, at_ms) ` + many +
				`SELECT i, 'org_a', 'revocation', 'x', '{}', $1, $1 FROM n`,
			`INSERT INTO session (token_hash, data, expires_at_ms) ` + many + `SELECT CAST(i AS TEXT), ` + hash +
				`, $1 FROM n`,
			`INSERT INTO invitation (token_hash, org_id, member_id, kind, expires_at_ms) ` + many + `SELECT ` + hash +
				`, 'org_a', 'mem_a', 'invite', $1 FROM n`,
			`INSERT INTO audit_event (id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind, target_name, outcome, reason, before_json, after_json, ip, request_id) ` +
				many +
				`SELECT 'evt_' || CAST(i AS TEXT), 'org_a', $1, '', '', '', '', '', '', '', '', '', '', '', '', '', '' FROM n`,
		} {
			_, err := s.write.ExecContext(t.Context(), text, gone)
			require.NoError(t, err)
		}
		stop := writing(t, s)
		began, batches := time.Now(), atomic.Int64{}
		var nodes sync.WaitGroup
		for range 2 { // each sweeps by itself
			nodes.Go(func() {
				for deleted := int64(1); deleted > 0; batches.Add(1) {
					assert.NoError(t, s.WriteAside(t.Context(),
						func(q *Q) (err error) {
							deleted,
								err = q.Sweep(t.Context(), moment0, moment0, 500)
							return err
						}))
					assert.LessOrEqual(t, deleted, int64(4*500), "a batch is small")
				}
			})
		}
		nodes.Wait()
		took := time.Since(began)
		written, worst := stop()
		t.Logf("%d rows in %d batches in %v; meanwhile %d writes, the longest took %v", 4*rows, batches.Load(),
			took.Round(time.Millisecond), written, worst.Round(time.Millisecond))
		require.GreaterOrEqual(t, batches.Load(), int64(rows/500))
		require.Greater(t, written, batches.Load()/10, "writers got in all along")
		for _, table := range []string{"change", "session", "invitation"} {
			var n int
			require.NoError(t, s.read.QueryRowContext(t.Context(),
				`SELECT COUNT(*) FROM `+table+` WHERE expires_at_ms <= $1`, gone).Scan(&n))
			require.Zero(t, n, table)
		}
	})
}

// writing makes changes one after the other until it is stopped, none of which
// may fail, and then says how many there were and how long the slowest took.
func writing(t *testing.T, s *Store) (stop func() (written int64, worst time.Duration)) {
	end := make(chan struct{})
	var writer sync.WaitGroup
	var written int64
	var worst time.Duration
	writer.Go(func() {
		for ; ; written++ {
			select {
			case <-end:
				return
			default:
			}
			began := time.Now()
			err := s.Write(t.Context(), func(q *Q) error {
				return q.InsertAuditEvent(t.Context(),
					svcauth.AuditEvent{ID: fmt.Sprint("evt_new", written), OrganizationID: "org_a", Time: moment0})
			})
			if !assert.NoError(t, err) {
				return
			}
			worst = max(worst, time.Since(began))
		}
	})
	return func() (int64, time.Duration) { close(end); writer.Wait(); return written, worst }
}
