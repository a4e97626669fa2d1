package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// auditEvent is the event of one second of org_a's log.
func auditEvent(second int) svcauth.AuditEvent {
	at := moment0.Add(time.Duration(second) * time.Second)
	e := svcauth.AuditEvent{ID: typeid.New(svcauth.PrefixEvent, at), OrganizationID: "org_a", Time: at,
		Action: "role.create"}
	e.Actor.ID, e.Actor.Name = fmt.Sprint("mem_", second%2), fmt.Sprint("m", second%2, "@example.com")
	e.Target.ID, e.Target.Name = "role_1", "Viewers"
	return e
}

func insertAudit(t *testing.T, s *Store, events ...svcauth.AuditEvent) {
	t.Helper()
	must(t, s, func(ctx context.Context, q *Q) error {
		for _, e := range events {
			if err := q.InsertAuditEvent(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// number gives all events their places that can have one.
func number(t *testing.T, s *Store, over time.Time) {
	t.Helper()
	for {
		ready, err := s.Read().ReadyAuditEvents(t.Context(), over)
		require.NoError(t, err)
		if !ready {
			return
		}
		require.NoError(t, s.WriteAside(t.Context(), func(q *Q) error {
			_, err := q.NumberAuditEvents(t.Context(), over, 1000)
			return err
		}))
	}
}

// auditWalked reads all pages, and returns the seconds of the events and how
// many pages they took.
func auditWalked(t *testing.T, s *Store, f AuditFilter, limit int) (seconds []int, pages int) {
	t.Helper()
	for {
		page, err := s.Read().AuditEvents(t.Context(), "org_a", f, limit)
		require.NoError(t, err)
		pages++
		for _, e := range page.Events {
			seconds = append(seconds, int(e.Time.Sub(moment0)/time.Second))
		}
		if page.Next == "" {
			return seconds, pages
		}
		f.From = page.Next
	}
}

func TestAuditEventsArePagedAndFiltered(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		var all []svcauth.AuditEvent
		for i := range 6 {
			all = append(all, auditEvent(i))
		}
		all[4].Action, all[4].Target.Name = "role.delete", "m1@example.com"
		all[4].After = []byte(`{"name":"<ü>"}`)
		all[5].OrganizationID = "org_b"
		insertAudit(t, s, all...)
		number(t, s, moment0)
		second := func(n int) time.Time { return moment0.Add(time.Duration(n) * time.Second) }
		for _, c := range []struct {
			name string
			f    AuditFilter
			want []int
		}{
			{"all", AuditFilter{}, []int{4, 3, 2, 1, 0}},
			{"after an event", AuditFilter{From: all[3].ID}, []int{2, 1, 0}},
			{"an actor", AuditFilter{ActorID: "mem_1"}, []int{3, 1}},
			{"an actor's name", AuditFilter{ActorName: "m0@example.com"}, []int{4, 2, 0}},
			{"a target's id", AuditFilter{Target: "role_1"}, []int{4, 3, 2, 1, 0}},
			{"a target's name", AuditFilter{Target: "m1@example.com"}, []int{4}},
			{"a time", AuditFilter{Since: second(1), Until: second(3)}, []int{2, 1}},
			{"a time within a millisecond", AuditFilter{Since: second(1).Add(1), Until: second(2).Add(1)}, []int{2, 1}},
			{"actions", AuditFilter{Actions: []string{"role.delete", "role.update", "role.create"}},
				[]int{4, 3, 2, 1, 0}},
			{"an action", AuditFilter{Actions: []string{"role.delete"}}, []int{4}},
			{"no action", AuditFilter{Actions: []string{"role.update"}}, nil},
			{"everything at once", AuditFilter{ActorName: "m0@example.com", Target: "Viewers",
				Actions: []string{"role.create", "role.update"}, Since: second(1), Until: second(4)}, []int{2}},
			{"injected", AuditFilter{Target: "' OR 1=1 --"}, nil},
		} {
			for limit := range 6 {
				got, _ := auditWalked(t, s, c.f, limit+1)
				require.Equal(t, c.want, got, "%s, %d a page", c.name, limit+1)
			}
			if c.f.From == "" {
				c.f.Ascending = true
				slices.Reverse(c.want)
				got, _ := auditWalked(t, s, c.f, 2)
				require.Equal(t, c.want, got, "%s, oldest first", c.name)
			}
		}
		page, err := s.Read().AuditEvents(t.Context(), "org_a", AuditFilter{}, 1)
		require.NoError(t, err)
		require.JSONEq(t, `{"name":"<ü>"}`, string(page.Events[0].After))
		require.Equal(t, "null", string(page.Events[0].Before))
		for name, known := range map[string]bool{"m0@example.com": true, "Viewers": true, "role_1": true, "x": false} {
			has, err := s.Read().HasAuditName(t.Context(), "org_a", name)
			require.NoError(t, err)
			require.Equal(t, known, has, name)
		}
		_, err = s.Read().AuditEvents(t.Context(), "org_a", AuditFilter{Ascending: true, From: all[5].ID}, 1)
		require.ErrorIs(t, err, ErrNotFound, "another organization's event")
	})
}

// However few events of a long log a filter fits, no page reads more than its
// bound, and all of them are found.
func TestAPageOfTheAuditLogReadsABoundedPart(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		const all = 3*auditScan + 1
		var events []svcauth.AuditEvent
		for i := range all {
			e := auditEvent(i)
			if i%auditScan == 0 {
				e.Action = "role.delete"
			}
			events = append(events, e)
		}
		insertAudit(t, s, events...)
		number(t, s, moment0)
		f := AuditFilter{Target: "Viewers", Actions: []string{"role.delete"}}
		got, pages := auditWalked(t, s, f, 50)
		require.Equal(t, []int{3 * auditScan, 2 * auditScan, auditScan, 0}, got)
		require.Equal(t, 4, pages)
		f.Ascending = true
		got, pages = auditWalked(t, s, f, 50)
		require.Equal(t, []int{0, auditScan, 2 * auditScan, 3 * auditScan}, got)
		require.Equal(t, 4, pages)
	})
}

// Several nodes write at once, and commit in another order than that of their
// ids. Whoever follows the log meanwhile reads each event once.
func TestFollowingTheAuditLogMissesNothing(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		const writers, each = 4, 25
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var writing, numbering sync.WaitGroup
		for w := range writers {
			writing.Go(func() {
				for i := range each {
					e := auditEvent(w*each + i)
					err := s.WriteAside(t.Context(), func(q *Q) error {
						if err := q.InsertAuditEvent(t.Context(), e); err != nil {
							return err
						}
						time.Sleep(time.Duration(i*w%5) * time.Millisecond) // its id is older than when it commits
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 2 {
			numbering.Go(func() {
				for ctx.Err() == nil {
					err := s.WriteAside(ctx, func(q *Q) error {
						_, err := q.NumberAuditEvents(ctx, moment0, 3)
						return err
					})
					if err != nil && ctx.Err() == nil && !errors.Is(err, ErrUnavailable) {
						t.Error(err)
					}
				}
			})
		}
		seen, last := map[string]int{}, ""
		deadline := time.Now().Add(time.Minute)
		for len(seen) < writers*each && time.Now().Before(deadline) {
			page, err := s.Read().AuditEvents(t.Context(), "org_a", AuditFilter{Ascending: true, From: last}, 7)
			require.NoError(t, err)
			for _, e := range page.Events {
				seen[e.ID]++
				last = e.ID
			}
		}
		writing.Wait()
		cancel()
		numbering.Wait()
		require.Len(t, seen, writers*each)
		for id, times := range seen {
			require.Equal(t, 1, times, id)
		}
	})
}

// Refusals are joined to a row for a minute. It has its place only then, and
// what comes later still has a row of its own.
func TestWhatIsJoinedHasItsPlaceWhenItsMinuteIsOver(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		e := auditEvent(0)
		join := func(count int) {
			t.Helper()
			e.Count = count
			require.NoError(t, s.WriteAside(t.Context(),
				func(q *Q) error { return q.JoinAuditEvent(t.Context(), e) }))
		}
		counts := func() (all []int) {
			t.Helper()
			page, err := s.Read().AuditEvents(t.Context(), "org_a", AuditFilter{Ascending: true}, 10)
			require.NoError(t, err)
			for _, e := range page.Events {
				all = append(all, e.Count)
			}
			return all
		}
		join(3)
		number(t, s, e.Time)
		require.Empty(t, counts())
		page, err := s.Read().AuditEvents(t.Context(), "org_a", AuditFilter{Ascending: true, From: e.ID}, 10)
		require.NoError(t, err)
		require.Empty(t, page.Events, "nothing is behind what has no place yet")
		join(4)
		over := e.Time.Add(time.Minute)
		number(t, s, over)
		require.Equal(t, []int{7}, counts())
		join(2)
		number(t, s, over)
		require.Equal(t, []int{7, 2}, counts())
		newest, _ := auditWalked(t, s, AuditFilter{}, 10)
		require.Len(t, newest, 2)
	})
}

// Each question of the audit log reads along an index.
func TestQuestionsOfTheAuditLogReadAnIndex(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		var events []svcauth.AuditEvent
		for i := range 2000 {
			e := auditEvent(i)
			e.OrganizationID = fmt.Sprint("org_", i%4)
			e.Action, e.Target.Name = fmt.Sprint("a.", i%40), fmt.Sprint("t", i%100)
			e.Actor.ID, e.Actor.Name = fmt.Sprint("mem_", i%100), fmt.Sprint("m", i%100)
			events = append(events, e)
		}
		insertAudit(t, s, events...)
		number(t, s, moment0)
		_, err := s.write.ExecContext(t.Context(), "ANALYZE")
		require.NoError(t, err)
		for name, f := range map[string]AuditFilter{
			"page": {}, "actor": {ActorID: "mem_1"}, "actor_name": {ActorName: "m1"},
			"action":      {Actions: []string{"a.1"}},
			"target_name": {Target: "t1", ActorName: "m1"}, "seq": {Ascending: true},
		} {
			w := auditWalk{org: "org_1", filter: f, limit: 5, postgres: s.postgres}
			text, args := w.query()
			plan := explained(t, s, text, args)
			require.Contains(t, plan, "audit_event_"+name, "%s", plan)
			if !w.narrow() {
				require.NotContains(t, plan, "Seq Scan", "%s", plan)
				require.NotContains(t, plan, "Sort", "%s", plan)
				require.NotContains(t, plan, "TEMP B-TREE", "%s", plan)
			}
		}
	})
}

// Following reads on from where it was, and not from the begin of the log: what
// SQLite seeks by is what it was asked for. Its plan does not tell.
func TestFollowingTheAuditLogBeginsWhereItWas(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		if s.postgres {
			return // it seeks by both
		}
		w := auditWalk{org: "org_1", filter: AuditFilter{Ascending: true}, limit: 5, seq: 1000}
		text, args := w.query()
		rows, err := s.read.QueryContext(t.Context(), "EXPLAIN "+text, args...)
		require.NoError(t, err)
		defer rows.Close()
		given, sought := map[int]bool{}, 0 // registers with a parameter; the last that is sought by
		for rows.Next() {
			var address, p1, p2, p3, p5 int
			var opcode string
			var p4, comment *string
			require.NoError(t, rows.Scan(&address, &opcode, &p1, &p2, &p3, &p4, &p5, &comment))
			switch opcode {
			case "Variable":
				given[p2] = true
			case "SeekGT":
				require.Equal(t, "2", *p4, "organization and place")
				sought = p3 + 1
			}
		}
		require.NoError(t, rows.Err())
		require.NotZero(t, sought, "it does not seek")
		require.True(t, given[sought], "it seeks by a constant")
	})
}

// explained returns the database's plan of a query.
func explained(t *testing.T, s *Store, text string, args []any) string {
	t.Helper()
	explain := "EXPLAIN QUERY PLAN "
	if s.postgres {
		explain = "EXPLAIN "
	}
	rows, err := s.read.QueryContext(t.Context(), explain+text, args...)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var plan strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(string)
		}
		require.NoError(t, rows.Scan(values...))
		plan.WriteString(*values[len(values)-1].(*string) + "\n")
	}
	require.NoError(t, rows.Err())
	return plan.String()
}
