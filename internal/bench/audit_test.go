package bench_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// BenchmarkAudit asks an audit log of 1,000,000 events of one organization what
// people ask one, and prints the median and the 99th percentile of 200 answers.
// The events came 20 a second, from 1,000 callers.
//
//	SVCAUTH_TEST_SERVICES=1 go test -run '^$' -bench Audit -benchtime 1x \
//	    -timeout 60m -v ./internal/bench/
func BenchmarkAudit(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { askAudit(b, "sqlite://"+filepath.Join(b.TempDir(), "svcauth.db")) })
	b.Run("postgresql", func(b *testing.B) { askAudit(b, pgtest.URL(b)) })
}

const (
	auditEvents = 1_000_000
	auditEvery  = 50 * time.Millisecond
)

// auditLog is an organization with a long audit log.
type auditLog struct {
	base
	began time.Time
}

// moment returns when the nth event was.
func (l *auditLog) moment(n int) time.Time { return l.began.Add(time.Duration(n) * auditEvery) }

func (l *auditLog) request(n int) string { return typeid.New(svcauth.PrefixRequest, l.moment(n)) }

func newAuditLog(b *testing.B, url string) (l *auditLog, requests []string) {
	l = &auditLog{base: newBase(b), began: time.Now().Add(-auditEvents * auditEvery).Truncate(time.Millisecond)}
	l.open(b, url)
	actions := svcauth.AuditActions()
	l.fill(b, auditEvents, func(table string, n int) map[string]any {
		if table != "audit_event" {
			return nil
		}
		caller, target := fmt.Sprintf("caller-%d", n%1000), fmt.Sprintf("thing-%d", n*7919%50_000)
		if n%100_000 == 99 {
			caller = "rare@example.com"
		}
		id := typeid.New(svcauth.PrefixEvent, l.moment(n))
		if requests = append(requests, l.request(n)); n == auditEvents/2 {
			l.middle = id
		}
		return map[string]any{
			"id": id, "org_id": l.actor.OrgID, "at_ms": l.moment(n).UnixMilli(), "actor_id": "id-of-" + caller,
			"actor_kind": svcauth.KindServiceAccount, "actor_name": caller, "actor_client": "",
			"action": actions[n%len(actions)], "target_id": "id-of-" + target, "target_kind": "role",
			"target_name": target, "outcome": svcauth.OutcomeDone, "reason": "", "before_json": "",
			"after_json": `{"name":"` + target + `","description":"what it is for"}`, "ip": "192.0.2.1",
			"request_id": requests[n], "count": 1, "seq": int64(n + 1000),
		}
	})
	l.serve(b)
	return l, requests
}

func askAudit(b *testing.B, url string) {
	l, requests := newAuditLog(b, url)
	list := func(filter svcauth.AuditFilter) func(int) error {
		return func(int) error {
			page, err := l.service.AuditEvents(l.admin, filter)
			if err == nil && len(page.Items) == 0 {
				err = fmt.Errorf("nothing for %+v", filter)
			}
			return err
		}
	}
	middle := l.moment(auditEvents / 2)
	for _, q := range []struct {
		name string
		ask  func(n int) error
	}{
		{"the newest page", list(svcauth.AuditFilter{})},
		{"a name that acts often", list(svcauth.AuditFilter{Actor: "caller-500"})},
		{"an address that acted ten times", list(svcauth.AuditFilter{Actor: "rare@example.com"})},
		{"a target by name", list(svcauth.AuditFilter{Target: "thing-77"})},
		{"a target by id", list(svcauth.AuditFilter{Target: "id-of-thing-77"})},
		{"an action", list(svcauth.AuditFilter{Action: "secret.create"})},
		{"a noun's actions", list(svcauth.AuditFilter{Action: "secret.*"})},
		{"an hour", list(svcauth.AuditFilter{Since: middle, Until: middle.Add(time.Hour)})},
		{"a name, an action and a day", list(svcauth.AuditFilter{Actor: "caller-500", Action: "secret.*",
			Since: middle, Until: middle.Add(5 * time.Hour)})},
		{"following", list(svcauth.AuditFilter{Order: svcauth.OrderAscending, After: l.middle})},
		{"following a name", list(svcauth.AuditFilter{Order: svcauth.OrderAscending, After: l.middle,
			Actor: "caller-500"})},
		{"from a moment on, oldest first", list(svcauth.AuditFilter{Order: svcauth.OrderAscending, Since: middle})},
		{"the hundredth page of a name", l.hundredthPage(b)},
		{"a request", func(n int) error {
			return l.find(requests[(n*4999+17)%auditEvents])
		}},
		{"a request that is not there", func(n int) error {
			if err := l.find(l.request((n*4999 + 17) % auditEvents)); !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("it is there, or %w", err)
			}
			return nil
		}},
	} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				reportAnswers(b, q.ask)
			}
		})
	}
}

// find reads the event that a request left.
func (l *auditLog) find(id string) error {
	_, err := l.store.Read().AuditEventOf(l.admin, l.actor.OrgID, id, typeid.Time(id))
	return err
}

// hundredthPage returns a question for a page far down, by the cursor that the
// page before has.
func (l *auditLog) hundredthPage(b *testing.B) func(int) error {
	filter := svcauth.AuditFilter{Actor: "caller-500"}
	filter.Limit = 10
	for range 99 {
		page, err := l.service.AuditEvents(l.admin, filter)
		require.NoError(b, err)
		require.NotNil(b, page.NextCursor)
		filter.Cursor = *page.NextCursor
	}
	return func(int) error {
		page, err := l.service.AuditEvents(l.admin, filter)
		if err == nil && len(page.Items) != 10 {
			err = fmt.Errorf("a page of %d", len(page.Items))
		}
		return err
	}
}

// reportAnswers asks 200 times and reports how long the answers took.
func reportAnswers(b *testing.B, ask func(int) error) {
	const rounds = 200
	var took []time.Duration
	for n := range rounds + 10 {
		began := time.Now()
		require.NoError(b, ask(n))
		if n >= 10 {
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[rounds/2].Microseconds()), "µs-median")
	b.ReportMetric(float64(took[rounds*99/100].Microseconds()), "µs-p99")
	b.ReportMetric(0, "ns/op")
}
