package refusals_test

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/refusals"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var moment = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

type fixture struct {
	*testing.T
	store   *store.Store
	log     *refusals.Log
	dropped int
}

func (f *fixture) QueueDropped(_ string, n int) { f.dropped += n }

func newFixture(t *testing.T) *fixture {
	t.Parallel()
	f := &fixture{T: t}
	var err error
	f.store, err = store.Open(store.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db"),
		Patience: schema.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.store.Close() })
	_, err = f.store.Migrate(t.Context())
	require.NoError(t, err)
	f.log = refusals.New(refusals.Config{Store: f.store, Observer: f})
	return f
}

// refuse notes a refusal and returns the id of its request.
func (f *fixture) refuse(client, reason, ip string, proven bool, at time.Time) string {
	r := refusals.Refusal{
		OrgID: "org_a", ClientID: client, Proven: proven, RequestID: typeid.New(svcauth.PrefixRequest, at),
		Endpoint: "/oauth2/token", Code: "invalid_client", Reason: reason, Detail: "because of " + reason,
		IP: netip.MustParseAddr(ip), UserAgent: "curl",
	}
	if client == "" {
		r.OrgID = ""
	}
	f.log.Note(r)
	return r.RequestID
}

func (f *fixture) rows(client string) []store.Refusal {
	f.Helper()
	require.NoError(f, f.log.Flush(f.Context()))
	org := "org_a"
	if client == "" {
		org = ""
	}
	all, err := f.store.Read().Refusals(f.Context(), org, client, 10_000)
	require.NoError(f, err)
	return all
}

func TestEqualRefusalsOfAnHourAreOneRow(t *testing.T) {
	f := newFixture(t)
	var ids []string
	for i := range 120 {
		at := moment.Add(time.Duration(i) * time.Second)
		ids = append(ids, f.refuse("sa_1", "wrong_secret", "192.0.2.1", false, at))
		if i == 70 {
			require.Equal(t, 71, f.rows("sa_1")[0].Count, "it is there before the hour is over")
		}
	}
	all := f.rows("sa_1")
	require.Len(t, all, 1)
	row := all[0]
	require.Equal(t, 120, row.Count)
	require.Equal(t, moment, row.FirstAt)
	require.Equal(t, moment.Add(119*time.Second), row.At)
	require.Len(t, row.RequestIDs, 50)
	require.Equal(t, ids[119], row.RequestIDs[0], "the newest first")
	require.Equal(t, ids[70], row.RequestIDs[49])
	found, err := f.store.Read().RefusalOf(t.Context(), ids[80], typeid.Time(ids[80]))
	require.NoError(t, err)
	require.Equal(t, row, found)
	_, err = f.store.Read().RefusalOf(t.Context(), ids[3], typeid.Time(ids[3]))
	require.ErrorIs(t, err, store.ErrNotFound)

	f.refuse("sa_1", "wrong_secret", "192.0.2.1", false, moment.Add(time.Hour))
	f.refuse("sa_1", "expired_secret", "192.0.2.1", true, moment.Add(time.Hour))
	f.refuse("sa_1", "wrong_secret", "192.0.2.2", false, moment.Add(time.Hour))
	require.Len(t, f.rows("sa_1"), 4)
}

// However many addresses strangers have, and however long they go on, a client
// has few rows, and what it was refused itself stays.
func TestStrangersCantMakeAClientsRowsGrowNorHideItsOwn(t *testing.T) {
	f := newFixture(t)
	own := f.refuse("sa_1", "scope_not_granted", "192.0.2.1", true, moment)
	for hour := range 20 {
		for i := range 300 {
			f.refuse("sa_1", "wrong_secret", fmt.Sprintf("198.51.%d.%d", i/200, i%200), false,
				moment.Add(time.Duration(hour)*time.Hour))
		}
		require.LessOrEqual(t, len(f.rows("sa_1")), 41)
	}
	rows := f.rows("sa_1")
	require.Len(t, rows, 41)
	require.True(t, rows[40].Authenticated)
	require.Equal(t, own, rows[40].RequestIDs[0])
	require.LessOrEqual(t, rows[0].At.Sub(rows[39].At), time.Hour, "the newest stay")
	require.Zero(t, f.dropped)
	var joined store.Refusal
	for _, r := range rows[:21] {
		if r.IP == "" {
			joined = r
		}
	}
	require.Equal(t, 280, joined.Count, "what has no row of its own is counted together")
}

// One organization's clients leave room for those of others, strangers leave
// room for clients that have proven who they are, and what is lost is said.
func TestWhatWaitsIsBounded(t *testing.T) {
	f := newFixture(t)
	for client := range 1000 {
		f.refuse(fmt.Sprint("sa_", client), "wrong_secret", "192.0.2.1", false, moment)
	}
	for org := range 100 {
		for client := range 20 {
			f.log.Note(refusals.Refusal{OrgID: fmt.Sprint("org_", org), ClientID: fmt.Sprintf("sa_%d_%d", org, client),
				RequestID: typeid.New(svcauth.PrefixRequest, moment), Reason: "wrong_secret"})
		}
	}
	own := f.refuse("sa_1", "expired_secret", "192.0.2.1", true, moment)
	rows := f.rows("sa_1")
	require.Len(t, rows, 2)
	require.True(t, rows[0].RequestIDs[0] == own || rows[1].RequestIDs[0] == own)
	require.Empty(t, f.rows("sa_999"))
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, f.log.Run(stopped))
	require.Equal(t, 700+800, f.dropped, "of one organization's clients, and of all strangers")
}

// What the database does not take waits, and is not lost.
func TestWhatCantBeWrittenIsTriedAgain(t *testing.T) {
	f := newFixture(t)
	first := f.refuse("sa_1", "wrong_secret", "192.0.2.1", false, moment)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, f.log.Flush(gone))
	second := f.refuse("sa_1", "wrong_secret", "192.0.2.1", false, moment.Add(time.Second))
	rows := f.rows("sa_1")
	require.Len(t, rows, 1)
	require.Equal(t, 2, rows[0].Count)
	require.Equal(t, []string{second, first}, rows[0].RequestIDs)
}

// Strangers without a client leave few rows, too, and no secret that came in
// the wrong place is kept.
func TestRequestsOfNoClient(t *testing.T) {
	f := newFixture(t)
	for i := range 1000 {
		f.refuse("", "unknown_client", fmt.Sprintf("198.51.%d.%d", i/200, i%200), false, moment)
	}
	require.Len(t, f.rows(""), 21)
	secret := svcauth.NewSecret().Reveal()
	f.log.Note(refusals.Refusal{OrgID: "org_a", ClientID: "sa_1", RequestID: typeid.New(svcauth.PrefixRequest, moment),
		Detail: "not " + secret, UserAgent: "x\n" + secret})
	row := f.rows("sa_1")[0]
	require.NotContains(t, row.Detail+row.UserAgent, secret)
	require.NotContains(t, row.UserAgent, "\n")
}
