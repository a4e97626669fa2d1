package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// patience is for what must happen, on a machine that may be slow.
const patience = 30 * time.Second

// sse is one event of a stream, or a comment.
type sse struct {
	Event, ID, Comment string
	Data               struct {
		svcauth.Revocation
		Revocations []svcauth.Revocation
		More        bool
	}
}

// subscriber is a client of the stream that knows nothing but the format.
type follower struct {
	t      *testing.T
	events chan sse
	status int
	cancel context.CancelFunc
}

func follow(t *testing.T, s *svctest.Server, token, lastID string, header ...string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/oauth2/revocations", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Transport: s.HTTP.Transport}).Do(req)
	require.NoError(t, err)
	f := &follower{t: t, events: make(chan sse, 1000), status: resp.StatusCode, cancel: cancel}
	if resp.StatusCode == http.StatusOK {
		require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	}
	go func() {
		defer close(f.events)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 16<<20)
		var e sse
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.Event = value
			case "id":
				e.ID = value
			case "data":
				if json.Unmarshal([]byte(value), &e.Data) != nil {
					return
				}
			case "":
				if lines.Text() == "" {
					f.events <- e
					e = sse{}
				} else {
					e.Comment = value
				}
			}
		}
	}()
	return f
}

// next gives the next event that is no sign of life and asks for nothing.
func (f *follower) next() sse {
	f.t.Helper()
	for {
		if e := f.any(); e.Event != "heartbeat" && e.Event != "confirm" {
			return e
		}
	}
}

func (f *follower) any() sse {
	f.t.Helper()
	select {
	case e, more := <-f.events:
		require.True(f.t, more, "the stream has ended")
		return e
	case <-time.After(patience):
		require.Fail(f.t, "nothing came")
		return sse{}
	}
}

// ends waits for the end of the stream.
func (f *follower) ends() {
	f.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case _, more := <-f.events:
			if !more {
				return
			}
		case <-timeout:
			require.Fail(f.t, "the stream did not end")
		}
	}
}

func jti(t *testing.T, token string) string {
	t.Helper()
	var claims struct{ JTI string }
	require.NoError(t, json.Unmarshal(payload(t, token), &claims))
	return claims.JTI
}

// revoke revokes a fresh token of the account and gives its jti.
func revoke(t *testing.T, s *svctest.Server, account svcauth.ServiceAccount) string {
	t.Helper()
	token := s.Token(account.ClientID, account.ClientSecret, "")
	answer := s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {token}})
	require.Equal(t, 200, answer.Status)
	require.Empty(t, answer.Text)
	return jti(t, token)
}

func TestStreamBeginsWithASnapshotGoesOnLiveAndResumesWithoutAGap(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	first := revoke(t, s, account)
	token := s.Token(api.ClientID, api.ClientSecret, "")
	f := follow(t, s, token, "")
	e := f.any()
	require.Equal(t, "snapshot", e.Event, "the snapshot comes first")
	require.False(t, e.Data.More)
	require.Len(t, e.Data.Revocations, 1)
	require.Equal(t, first, e.Data.Revocations[0].JTI)
	beat := f.any()
	require.Equal(t, "heartbeat", beat.Comment)
	require.Equal(t, "heartbeat", beat.Event, "standard clients hear no comments")
	require.Equal(t, e.ID, beat.ID)

	second := revoke(t, s, account)
	e = f.next()
	require.Equal(t, "revocation", e.Event)
	require.Equal(t, second, e.Data.JTI)
	require.NotEmpty(t, e.ID)
	f.cancel()

	third := revoke(t, s, account)
	f = follow(t, s, token, e.ID)
	e = f.any()
	require.Equal(t, "revocation", e.Event, "no snapshot for who has a cursor")
	require.Equal(t, third, e.Data.JTI)
	require.Equal(t, "heartbeat", f.any().Comment)
	f.cancel()

	for name, cursor := range map[string]string{"ahead of the log": "999999", "negative": "-1", "no cursor": "x"} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, s, token, cursor)
			e := f.any()
			require.Equal(t, "snapshot", e.Event)
			require.Len(t, e.Data.Revocations, 3)
		})
	}
	// Older than what is in memory: a restarted node has nothing there.
	s.Stop()
	s.Start()
	f = follow(t, s, token, "1")
	require.Equal(t, []string{first, second, third}, []string{f.any().Data.JTI, f.any().Data.JTI, f.any().Data.JTI})
}

func TestALargeSnapshotComesInParts(t *testing.T) {
	database := "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")
	s := svctest.New(t, svctest.Options{DatabaseURL: database})
	api := s.Account("api", svcauth.TokensIntrospect)
	const entries = 4500
	addRevocations(t, s, database, entries)
	f := follow(t, s, s.Token(api.ClientID, api.ClientSecret, ""), "")
	got, parts := 0, 0
	for more := true; more; {
		e := f.any()
		require.Equal(t, "snapshot", e.Event)
		more = e.Data.More
		require.Equal(t, more, e.ID == "", "only the last part has an id")
		got, parts = got+len(e.Data.Revocations), parts+1
	}
	require.Equal(t, entries, got)
	require.Equal(t, 3, parts)

	// The same by polling.
	got, parts = 0, 0
	for cursor, more := "", true; more; parts++ {
		answer := s.Get("/oauth2/revocations?since="+cursor, s.Token(api.ClientID, api.ClientSecret, ""))
		require.Equal(t, 200, answer.Status)
		require.Equal(t, parts == 0, answer.JSON["snapshot"] == true)
		more = answer.JSON["more"] == true
		cursor = answer.JSON["cursor"].(string)
		got += len(answer.JSON["revocations"].([]any))
	}
	require.Equal(t, entries, got)
	require.Equal(t, 3, parts)
}

func TestATenantSeesOnlyItsOwnRevocations(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	acme, other := s.NewTenant("acme"), s.NewTenant("other")
	stream := func(tenant people.Tenant) (svcauth.ServiceAccount, *follower) {
		api := s.AccountIn(tenant, "api", svcauth.TokensIntrospect)
		return s.AccountIn(tenant, "ci", "clusters:view"), follow(t, s, s.Token(api.ClientID, api.ClientSecret, ""), "")
	}
	ofAcme, acmeStream := stream(acme)
	ofOther, otherStream := stream(other)
	_, operatorStream := stream(s.Tenant)
	for _, f := range []*follower{acmeStream, otherStream, operatorStream} {
		require.Equal(t, "snapshot", f.next().Event)
	}
	a, b := revoke(t, s, ofAcme), revoke(t, s, ofOther)
	require.Equal(t, a, acmeStream.next().Data.JTI)
	require.Equal(t, b, otherStream.next().Data.JTI)
	require.Equal(t, []string{a, b}, []string{operatorStream.next().Data.JTI, operatorStream.next().Data.JTI})
	a2 := revoke(t, s, ofAcme)
	require.Equal(t, a2, acmeStream.next().Data.JTI, "and nothing of the other in between")

	api := s.AccountIn(other, "late", svcauth.TokensIntrospect)
	snapshot := follow(t, s, s.Token(api.ClientID, api.ClientSecret, ""), "").next()
	require.Len(t, snapshot.Data.Revocations, 1)
	require.Equal(t, b, snapshot.Data.Revocations[0].JTI)
}

func TestStreamIsRefused(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MAX_FOLLOWERS=16"}})
	account := s.Account("ci", "clusters:view")
	require.Equal(t, 401, follow(t, s, "x", "").status)
	require.Equal(t, 401, follow(t, s, s.Token(account.ClientID, account.ClientSecret, ""), "").status,
		"a token for another API")
	weak := s.Account("weak", svcauth.MembersRead)
	require.Equal(t, 403, follow(t, s, s.Token(weak.ClientID, weak.ClientSecret, ""), "").status)

	acme := s.NewTenant("acme")
	tenants := s.AccountIn(acme, "api", svcauth.TokensIntrospect)
	token := s.Token(tenants.ClientID, tenants.ClientSecret, "")
	for range 2 {
		require.Equal(t, 200, follow(t, s, token, "").status)
	}
	require.Equal(t, 503, follow(t, s, token, "").status, "one organization has no more than an eighth")
	api := s.Account("api", svcauth.TokensIntrospect)
	token = s.Token(api.ClientID, api.ClientSecret, "")
	for range 14 {
		require.Equal(t, 200, follow(t, s, token, "").status)
	}
	require.Equal(t, 503, follow(t, s, token, "").status, "limits.max_followers")
}

func TestStreamEndsWithItsToken(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	api := s.Account("api", svcauth.TokensIntrospect)
	token := s.Token(api.ClientID, api.ClientSecret, "")
	f := follow(t, s, token, "")
	other := follow(t, s, s.Token(api.ClientID, api.ClientSecret, ""), "")
	require.Equal(t, "snapshot", f.next().Event)
	require.Equal(t, "snapshot", other.next().Event)
	answer := s.Post("/oauth2/revoke", api.ClientID, api.ClientSecret, url.Values{"token": {token}})
	require.Equal(t, 200, answer.Status)
	f.ends()
	require.Equal(t, jti(t, token), other.next().Data.JTI, "the others go on")
}

func TestStreamEndsWhenItsTokenExpires(t *testing.T) {
	var ahead atomic.Int64
	s := svctest.New(t, svctest.Options{Clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	api := s.Account("api", svcauth.TokensIntrospect)
	f := follow(t, s, s.Token(api.ClientID, api.ClientSecret, ""), "")
	require.Equal(t, "snapshot", f.next().Event)
	ahead.Store(int64(2 * time.Hour))
	f.ends()
}

func TestShutdownEndsStreamsAtOnce(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_SHUTDOWN_GRACE=10m"}})
	api := s.Account("api", svcauth.TokensIntrospect)
	f := follow(t, s, s.Token(api.ClientID, api.ClientSecret, ""), "")
	require.Equal(t, "snapshot", f.next().Event)
	s.Stop() // would take ten minutes
	f.ends()
	require.Contains(t, s.Log(), "stream_shutdown")
}

func TestFollowersDoNotCountAsRequestsInWork(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MAX_INFLIGHT=10"}})
	api := s.Account("api", svcauth.TokensIntrospect)
	token := s.Token(api.ClientID, api.ClientSecret, "")
	for i := range 30 {
		require.Equal(t, "snapshot", follow(t, s, token, "", "Svcauth-Instance", fmt.Sprint(i)).next().Event)
	}
}
