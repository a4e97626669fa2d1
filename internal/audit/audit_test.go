package audit_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/audit"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var moment = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

type fixture struct {
	t       *testing.T
	store   *store.Store
	log     *audit.Log
	dropped int
}

func (f *fixture) QueueDropped(_ string, n int) { f.dropped += n }

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t}
	var err error
	f.store, err = store.Open(store.Config{URL: schema.SQLite(t), Patience: schema.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.store.Close() })
	f.log = audit.New(audit.Config{Store: f.store, Observer: f})
	return f
}

func (f *fixture) written(org string) (all []svcauth.AuditEvent, total int) {
	f.t.Helper()
	require.NoError(f.t, f.log.Flush(f.t.Context()))
	page, err := f.store.Read().AuditEvents(f.t.Context(), org, store.AuditFilter{}, 100_000)
	require.NoError(f.t, err)
	for _, e := range page.Events {
		total += e.Count
	}
	return page.Events, total
}

func refusal(actor, action, reason string, at time.Time) svcauth.AuditEvent {
	return svcauth.AuditEvent{Time: at, OrganizationID: "org_a", Action: action, Reason: reason,
		Outcome: svcauth.OutcomeRefused,
		Actor:   svcauth.AuditActor{ID: actor, Kind: svcauth.KindServiceAccount, Name: actor}}
}

func TestEqualRefusalsAreOneRowAMinute(t *testing.T) {
	f := newFixture(t)
	for i := range 1000 {
		f.log.Note(refusal("sa_1", "role.create", "no", moment.Add(time.Duration(i)*time.Millisecond)))
		if i == 500 {
			_, total := f.written("org_a")
			require.Equal(t, 501, total, "what is there can be read before the minute is over")
		}
	}
	f.log.Note(refusal("sa_1", "role.create", "no", moment.Add(time.Minute)))
	f.log.Note(refusal("sa_1", "role.delete", "no", moment.Add(time.Minute)))
	f.log.Note(refusal("sa_2", "role.create", "no", moment.Add(time.Minute)))
	f.log.Note(refusal("sa_1", "role.create", "never", moment.Add(time.Minute)))
	all, total := f.written("org_a")
	require.Len(t, all, 5)
	require.Equal(t, 1004, total)
	first := all[len(all)-1]
	require.Equal(t, 1000, first.Count)
	require.Equal(t, moment, first.Time, "of the first")
	require.True(t, svcauth.ValidID(svcauth.PrefixEvent, first.ID))
}

// However a caller varies what it tries, a minute has a bounded number of rows,
// and those of others stay.
func TestRowsOfAMinuteAreBounded(t *testing.T) {
	f := newFixture(t)
	for i := range 2000 {
		f.log.Note(refusal("sa_noisy", "role.create", fmt.Sprint("name ", i, " is taken"), moment))
	}
	f.log.Note(refusal("mem_quiet", "role.delete", "no", moment))
	all, total := f.written("org_a")
	require.Len(t, all, 20+1+1)
	require.Equal(t, 2001, total, "none is missing")
	require.True(t, slices.ContainsFunc(all, func(e svcauth.AuditEvent) bool { return e.Actor.ID == "mem_quiet" }))
	for account := range 1000 {
		for i := range 30 {
			f.log.Note(refusal(fmt.Sprint("sa_", account), "role.create", fmt.Sprint("reason ", i), moment))
		}
	}
	all, total = f.written("org_a")
	require.LessOrEqual(t, len(all), 202)
	require.Equal(t, 32_001, total)
}

// Nobody knows who sends wrong secrets: they are joined by whose they are and
// by network.
func TestStrangersAreJoinedByTargetAndNetwork(t *testing.T) {
	f := newFixture(t)
	wrong := func(target, ip string) {
		e := refusal("", "client.authenticate", "wrong", moment)
		e.Target, e.IP = svcauth.AuditTarget{ID: target}, ip
		f.log.Note(e)
	}
	for i := range 100 {
		wrong("sa_1", fmt.Sprint("2001:db8::", i))
		wrong("sa_1", "192.0.2.1")
		wrong("sa_2", "192.0.2.1")
	}
	all, total := f.written("org_a")
	require.Len(t, all, 3)
	require.Equal(t, 300, total)
	for i := range 100_000 {
		wrong("sa_1", fmt.Sprintf("2001:db8:%x:%x::1", i%256, i/256))
	}
	all, _ = f.written("org_a")
	require.LessOrEqual(t, len(all), 23, "a network a packet is no way to fill the log")
}

func TestRefusalsWaitForTheDatabase(t *testing.T) {
	f := newFixture(t)
	f.log.Note(refusal("sa_1", "role.create", "no", moment))
	require.NoError(t, f.log.Flush(t.Context()))
	f.log.Note(refusal("sa_1", "role.create", "no", moment))
	f.log.Note(refusal("sa_2", "role.create", "no", moment))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, f.log.Flush(ctx))
	f.log.Note(refusal("sa_2", "role.create", "no", moment.Add(time.Minute)))
	require.Error(t, f.log.Flush(ctx))
	all, total := f.written("org_a")
	require.Len(t, all, 3)
	require.Equal(t, 4, total)
}

// What can't be written waits within bounds, and what is lost is counted.
func TestRefusalsBeyondTheBoundAreCounted(t *testing.T) {
	f := newFixture(t)
	for minute := range 60 {
		for org := range 300 {
			e := refusal("sa_1", "role.create", "no", moment.Add(time.Duration(minute)*time.Minute))
			e.OrganizationID = fmt.Sprint("org_", org)
			f.log.Note(e)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, f.log.Run(ctx))
	require.Equal(t, 60*300-10_000, f.dropped)
}
