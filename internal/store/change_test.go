package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestSequenceIsCommitOrder is what everything that follows the log stands on:
// whoever asks for what comes after n misses nothing, ever, while many write.
func TestSequenceIsCommitOrder(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		first := open(t, url)
		_, err := first.Migrate(t.Context())
		require.NoError(t, err)
		second := first
		if first.Postgres() {
			second = open(t, url)
		}
		const writers, each = 8, 25
		var committed atomic.Int64
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				s := []*Store{first, second}[w%2]
				for i := range each {
					failing := errors.New("rolled back on purpose")
					err := s.Write(t.Context(), func(q *Q) error {
						for range 1 + i%3 {
							if _, err := q.AddChange(t.Context(),
								Change{Kind: ChangeClient, Subject: strconv.Itoa(w), ExpiresAt: moment0}); err != nil {
								return err
							}
						}
						if i%5 == 4 {
							return failing
						}
						return nil
					})
					switch {
					case err == nil:
						committed.Add(int64(1 + i%3))
					case !errors.Is(err, failing):
						t.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { all.Wait(); close(done) }()
		var seen int64
		read := func() {
			page, err := first.Read().Changes(t.Context(), seen, 7)
			require.NoError(t, err)
			for _, c := range page {
				require.Equal(t, seen+1, c.Seq, "a gap that is filled later would be missed")
				seen = c.Seq
			}
			last, err := first.Read().LastChange(t.Context())
			require.NoError(t, err)
			require.GreaterOrEqual(t, last, seen)
		}
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			read()
		}
		for range writers * each {
			read()
		}
		require.Equal(t, committed.Load(), seen, "all that was committed, and nothing that was rolled back")
	})
}

func TestChangeLogReadsAndExpires(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		must(t, s, func(ctx context.Context, q *Q) error {
			for i := range 10 {
				kind := ChangeRevocation
				if i%2 == 1 {
					kind = ChangeClient
				}
				if _, err := q.AddChange(ctx, Change{OrgID: "org_a", Kind: kind, Subject: strconv.Itoa(i),
					Payload:   `{"jti":"ü\"'"}`,
					ExpiresAt: moment0.Add(time.Duration(i) * time.Minute)}); err != nil {
					return err
				}
			}
			return nil
		})
		all, err := s.Read().Changes(t.Context(), 0, 100)
		require.NoError(t, err)
		require.Len(t, all, 10)
		require.Equal(t, Change{Seq: 1, OrgID: "org_a", Kind: ChangeRevocation, Subject: "0",
			Payload: `{"jti":"ü\"'"}`, ExpiresAt: moment0, At: all[0].At}, all[0])
		require.WithinDuration(t, time.Now(), all[0].At, time.Minute)
		page, err := s.Read().Changes(t.Context(), 8, 1)
		require.NoError(t, err)
		require.Equal(t, int64(9), page[0].Seq)
		live, err := s.Read().LiveRevocations(t.Context(), 0, 10, 100)
		require.NoError(t, err)
		require.Equal(t, []int64{1, 3, 5, 7, 9}, seqs(live),
			"what has expired too: the sweep decides, not the reader's clock")
		live, err = s.Read().LiveRevocations(t.Context(), 7, 8, 100)
		require.NoError(t, err)
		require.Empty(t, live)
		require.NotNil(t, live)

		// Expired entries go in portions; the counter never goes back.
		sweep := func(now time.Time, limit int) (n int64) {
			require.NoError(t, s.WriteAside(t.Context(),
				func(q *Q) (err error) { n, err = q.Sweep(t.Context(), now, time.Time{}, limit); return err }))
			return n
		}
		require.EqualValues(t, 3, sweep(moment0.Add(4*time.Minute), 3))
		require.EqualValues(t, 2, sweep(moment0.Add(4*time.Minute), 3))
		require.Zero(t, sweep(moment0.Add(4*time.Minute), 3))
		require.EqualValues(t, 5, sweep(moment0.Add(time.Hour), 100))
		last, err := s.Read().LastChange(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 10, last)
	})
}

func seqs(all []Change) (out []int64) {
	for _, c := range all {
		out = append(out, c.Seq)
	}
	return out
}

func TestSweepTakesOnlyWhatHasExpired(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		raw := func(text string, args ...any) {
			_, err := s.write.ExecContext(t.Context(), text, args...)
			require.NoError(t, err)
		}
		for i, expires := range []time.Time{moment0.Add(-time.Minute), moment0, moment0.Add(time.Minute)} {
			raw(`INSERT INTO session (token_hash, data, expires_at_ms) VALUES ($1, $2, $3)`, fmt.Sprint(i), []byte{1},
				expires.UnixMilli())
			raw(`INSERT INTO invitation (token_hash, org_id, member_id, kind, expires_at_ms) VALUES ($1, 'org_a', 'mem_a', 'invite', $2)`, []byte{byte(i)}, expires.UnixMilli())
			must(t, s, func(ctx context.Context, q *Q) error {
				return q.InsertAuditEvent(ctx, svcauth.AuditEvent{ID: fmt.Sprint("evt_", i), OrganizationID: "org_a",
					Time: expires})
			})
		}
		count := func(table string) (n int) {
			require.NoError(t, s.read.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM `+table).Scan(&n))
			return n
		}
		sweep := func(audit time.Time) {
			require.NoError(t, s.WriteAside(t.Context(),
				func(q *Q) error { _, err := q.Sweep(t.Context(), moment0, audit, 100); return err }))
		}
		sweep(time.Time{})
		require.Equal(t, []int{1, 1, 3}, []int{count("session"), count("invitation"), count("audit_event")},
			"zero keeps the audit log for ever")
		sweep(moment0)
		require.Equal(t, 2, count("audit_event"))
		require.Equal(t, 6, count("credential"))
		require.Equal(t, 4, count("role"))
	})
}

// What deletes aside waits for nobody: rows that another transaction holds are
// left to the next sweep. Else two of them would hold what the other waits for.
func TestSweepWaitsForNobody(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		if !s.Postgres() {
			return // one at a time by itself
		}
		filled(t, s)
		gone := moment0.UnixMilli()
		tables := map[string]string{
			"change":     `INSERT INTO change (seq, org_id, kind, subject, payload, expires_at_ms, at_ms) VALUES (CAST($1 AS BIGINT), 'org_a', 'client', 'x', '{}', $2, $2)`,
			"session":    `INSERT INTO session (token_hash, data, expires_at_ms) VALUES ($1, '', $2)`,
			"invitation": `INSERT INTO invitation (token_hash, org_id, member_id, kind, expires_at_ms) VALUES (CAST($1 AS BYTEA), 'org_a', 'mem_a', 'invite', $2)`,
			"audit_event": `INSERT INTO audit_event (id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind, target_name, outcome, reason, before_json, after_json, ip, request_id)
				VALUES ($1, 'org_a', $2, '', '', '', '', '', '', '', '', '', '', '', '', '', '')`,
		}
		held, err := s.write.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		defer held.Rollback() //nolint:errcheck // it changes nothing
		for table, insert := range tables {
			for i := range 3 {
				_, err := s.read.ExecContext(t.Context(), insert, fmt.Sprint(1000+i), gone)
				require.NoError(t, err, table)
			}
			_, err := held.ExecContext(t.Context(), `SELECT 1 FROM `+table+` LIMIT 1 FOR UPDATE`)
			require.NoError(t, err)
		}
		_, err = held.ExecContext(t.Context(), `SELECT 1 FROM client WHERE id = 'sa_b' FOR UPDATE`)
		require.NoError(t, err)
		must(t, s, func(ctx context.Context, q *Q) error { return q.RemoveOrganization(ctx, "org_b") })
		aside := func(do func(q *Q) error) {
			require.NoError(t, s.WriteAside(t.Context(), func(q *Q) error {
				_, err := q.exec(t.Context(), `SET LOCAL lock_timeout = '1s'`)
				require.NoError(t, err)
				return do(q)
			}))
		}
		sweep := func() (n int64) {
			aside(func(q *Q) (err error) {
				n, err = q.Sweep(t.Context(), moment0, moment0.Add(time.Hour), 100)
				return err
			})
			return n
		}
		require.EqualValues(t, 4*2, sweep(), "of each kind all but the one that is held")
		aside(func(q *Q) error { _, err := q.DeleteRemoved(t.Context(), 100); return err })
		require.NoError(t, held.Rollback())
		require.EqualValues(t, 4, sweep())
	})
}

// TestAnOrganizationReadsItsOwnRevocationsOnly checks that a reader of one
// organization's revocations costs its own rows, however many others there are.
func TestAnOrganizationReadsItsOwnRevocationsOnly(t *testing.T) {
	for _, own := range []int{5, 500} {
		t.Run(fmt.Sprint(own, " of its own"), func(t *testing.T) { organizationReadsItsOwn(t, 4000, own) })
	}
}

func organizationReadsItsOwn(t *testing.T, others, own int) {
	databases(t, func(t *testing.T, s *Store) {
		must(t, s, func(ctx context.Context, q *Q) error {
			for i := range others + own {
				c := Change{OrgID: fmt.Sprint("org_", i%7), Kind: ChangeRevocation, Payload: `{"jti":"a"}`,
					ExpiresAt: moment0}
				if i%(others/own) == 0 {
					c.OrgID = "org_own"
				}
				if _, err := q.AddChange(ctx, c); err != nil {
					return err
				}
			}
			_, err := q.AddChange(ctx, Change{OrgID: "org_own", Kind: ChangeClient, ExpiresAt: moment0})
			return err
		})
		every := int64(others / own)
		all, err := s.Read().LiveRevocationsOf(t.Context(), "org_own", 0, int64(others+own+1), others)
		require.NoError(t, err)
		want := []int64{}
		for seq := int64(1); seq <= int64(others+own); seq += every {
			want = append(want, seq)
		}
		require.Equal(t, want, seqs(all))
		some, err := s.Read().LiveRevocationsOf(t.Context(), "org_own", 1, 3000, 2)
		require.NoError(t, err)
		require.Equal(t, want[1:3], seqs(some))

		_, err = s.write.ExecContext(t.Context(), "ANALYZE")
		require.NoError(t, err)
		explain := "EXPLAIN QUERY PLAN "
		if s.postgres {
			explain = "EXPLAIN "
		}
		rows, err := s.read.QueryContext(t.Context(),
			explain+strings.NewReplacer("$1", "'org_own'", "$2", "0", "$3", "5000", "$4",
				"2000").Replace(liveRevocationsOf))
		require.NoError(t, err)
		defer rows.Close()
		columns, err := rows.Columns()
		require.NoError(t, err)
		plan := ""
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(string)
			}
			require.NoError(t, rows.Scan(values...))
			plan += *values[len(values)-1].(*string) + "\n"
		}
		require.NoError(t, rows.Err())
		require.Contains(t, plan, "change_organization", "%s", plan)
	})
}
