package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func payload(t *testing.T, token string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	return raw
}

// addRevocations writes revocations into the table behind the server's back, as
// another node would.
func addRevocations(t *testing.T, s *svctest.Server, database string, n int) {
	t.Helper()
	addRevocationsOf(t, database, s.Tenant.Organization.ID, n)
}

func addRevocationsOf(t *testing.T, database, orgID string, n int) {
	t.Helper()
	db, err := store.Open(store.Config{URL: database, Patience: schema.Patience})
	require.NoError(t, err)
	defer db.Close()
	exp := time.Now().Add(time.Hour)
	require.NoError(t, db.Write(t.Context(), func(q *store.Q) error {
		for range n {
			payload, _ := json.Marshal(svcauth.Revocation{JTI: svcauth.NewID("tok"), Exp: exp.Unix()})
			if _, err := q.AddChange(t.Context(), store.Change{OrgID: orgID,
				Kind: store.ChangeRevocation, Payload: string(payload), ExpiresAt: exp}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func ack(t *testing.T, s *svctest.Server, token, body string) svctest.Answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL+"/oauth2/revocations/ack", strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return s.Do(req)
}

func TestAcknowledgementIsRefused(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	api, weak := s.Account("api", svcauth.TokensIntrospect), s.Account("weak", svcauth.MembersRead)
	token := s.Token(api.ClientID, api.ClientSecret, "")
	for name, c := range map[string]struct {
		token, body string
		status      int
	}{
		"no token":           {"", `{"cursor":"1"}`, 401},
		"no privilege":       {s.Token(weak.ClientID, weak.ClientSecret, ""), `{"cursor":"1"}`, 403},
		"no JSON":            {token, `cursor=1`, 400},
		"no cursor":          {token, `{"name":"x"}`, 400},
		"not a cursor":       {token, `{"cursor":"x"}`, 400},
		"negative":           {token, `{"cursor":"-1"}`, 400},
		"ahead of the feed":  {token, `{"cursor":"123456789"}`, 400},
		"too large":          {token, `{"name":"` + strings.Repeat("x", 8<<10) + `","cursor":"1"}`, 400},
		"a cursor it got":    {token, `{"cursor":"1","name":"x","audience":"y","instance":"z"}`, 204},
		"who says no more":   {token, `{"cursor":"1"}`, 204},
		"odd bytes in names": {token, `{"cursor":"1","name":"a\u0000\n\u20acb"}`, 204},
	} {
		t.Run(name, func(t *testing.T) {
			answer := ack(t, s, c.token, c.body)
			require.Equal(t, c.status, answer.Status, answer.Text)
			// RFC 6750 §3: no error without a token, and a challenge for one
			// that lacks something.
			challenge := map[int]string{401: `Bearer realm="svcauth"`,
				403: `Bearer realm="svcauth", error="insufficient_scope", scope="tokens:introspect"`}
			require.Equal(t, challenge[c.status], answer.Header.Get("WWW-Authenticate"))
		})
	}
}

func TestWaitIsRefused(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account := s.Account("ci", "clusters:view")
	token := s.Token(account.ClientID, account.ClientSecret, "")
	for _, query := range []string{"wait=11s", "wait=-1s", "wait=2", "wait=", "wait=2s&token=x",
		"wait=2s&wait=2s", "token=x"} {
		t.Run(query, func(t *testing.T) {
			answer := s.Post("/oauth2/revoke?"+query, account.ClientID, account.ClientSecret,
				url.Values{"token": {token}})
			require.Equal(t, 400, answer.Status)
			require.True(t, s.Active(account.ClientID, account.ClientSecret, token), "nothing was revoked")
		})
	}
}

// enforcement revokes a fresh token and waits.
func enforcement(t *testing.T, s *svctest.Server, account svcauth.ServiceAccount, wait string) (e svcauth.Enforcement) {
	t.Helper()
	token := s.Token(account.ClientID, account.ClientSecret, "")
	answer := s.Post("/oauth2/revoke?wait="+wait, account.ClientID, account.ClientSecret, url.Values{"token": {token}})
	require.Equal(t, 200, answer.Status, answer.Text)
	require.NoError(t, json.Unmarshal([]byte(answer.Text), &e))
	return e
}

func TestRevokeWaitsForEveryConnectedResourceServer(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	require.Equal(t, svcauth.Enforcement{}, withoutTime(enforcement(t, s, account, "10s")),
		"nobody is connected: nobody is waited for")

	token := s.Token(api.ClientID, api.ClientSecret, "")
	confirm := func(instance, cursor string) {
		answer := ack(t, s, token,
			fmt.Sprintf(`{"cursor":%q,"name":"clusters","audience":"https://api.cloud.example","instance":%q}`,
				cursor, instance))
		require.Equal(t, 204, answer.Status, answer.Text)
	}
	looksOnly := follow(t, s, token, "")
	require.Equal(t, "snapshot", looksOnly.next().Event)
	streams := map[string]*follower{}
	for _, instance := range []string{"one", "two"} {
		streams[instance] = follow(t, s, token, "", "Svcauth-Instance", instance, "Svcauth-Resource-Server", "clusters")
		confirm(instance, streams[instance].next().ID)
	}
	require.Equal(t, svcauth.Enforcement{Enforced: 0, Connected: 2}, withoutTime(enforcement(t, s, account, "0s")))
	for instance, f := range streams {
		confirm(instance, f.next().ID)
	}

	// Both confirm while somebody waits.
	done := make(chan svcauth.Enforcement)
	go func() { done <- enforcement(t, s, account, "10s") }()
	confirm("one", streams["one"].next().ID)
	last := streams["two"].next().ID
	select {
	case <-done:
		require.Fail(t, "the answer came although one has not confirmed")
	case <-time.After(50 * time.Millisecond):
	}
	confirm("two", last)
	require.Equal(t, svcauth.Enforcement{Enforced: 2, Connected: 2}, withoutTime(<-done))

	// One confirms, one goes away.
	go func() { done <- enforcement(t, s, account, "10s") }()
	confirm("one", streams["one"].next().ID)
	streams["two"].next()
	streams["two"].cancel()
	require.Equal(t, svcauth.Enforcement{Enforced: 1, Connected: 1}, withoutTime(<-done))

	// One does not confirm in time.
	e := enforcement(t, s, account, "100ms")
	require.Equal(t, svcauth.Enforcement{Enforced: 0, Connected: 1}, withoutTime(e))
	require.GreaterOrEqual(t, e.ElapsedMS, int64(100))
}

func withoutTime(e svcauth.Enforcement) svcauth.Enforcement {
	e.ElapsedMS = 0
	return e
}

func TestWaitConcernsOnlyWhoServesTheOrganization(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	acme, other := s.NewTenant("acme"), s.NewTenant("other")
	for tenant, token := range map[string]string{
		"operator": tokenOf(s, s.Account("api", svcauth.TokensIntrospect)),
		"acme":     tokenOf(s, s.AccountIn(acme, "api", svcauth.TokensIntrospect)),
		"other":    tokenOf(s, s.AccountIn(other, "api", svcauth.TokensIntrospect)),
	} {
		require.Equal(t, "snapshot", follow(t, s, token, "", "Svcauth-Instance", tenant).next().Event)
	}
	ci := s.AccountIn(acme, "ci", "clusters:view")
	require.Equal(t, svcauth.Enforcement{Enforced: 0, Connected: 2}, withoutTime(enforcement(t, s, ci, "0s")))
	require.Equal(t, svcauth.Enforcement{Enforced: 0, Connected: 1},
		withoutTime(enforcement(t, s, s.Account("ci", "clusters:view"), "0s")),
		"a tenant's follower does not serve the operator")
}

func tokenOf(s *svctest.Server, account svcauth.ServiceAccount) string {
	return s.Token(account.ClientID, account.ClientSecret, "")
}

func TestPollingResourceServersAreConnectedForThreeIntervals(t *testing.T) {
	needs.Time(t)
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	token := tokenOf(s, api)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.URL+"/oauth2/revocations", nil)
	require.NoError(t, err)
	for name, value := range map[string]string{"Authorization": "Bearer " + token, "Accept": "application/json",
		"Svcauth-Interval": "1s", "Svcauth-Instance": "poller"} {
		req.Header.Set(name, value)
	}
	require.Equal(t, 200, s.Do(req).Status)
	require.Equal(t, 1, enforcement(t, s, account, "0s").Connected)
	require.Eventually(t, func() bool { return enforcement(t, s, account, "0s").Connected == 0 }, patience,
		500*time.Millisecond)
}

// TestWhoIsNotCountedIsNotCalledNone has an account take all receipts that its
// organization may have: 2 of 16.
func TestWhoIsNotCountedIsNotCalledNone(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MAX_FOLLOWERS=4"}})
	acme := s.NewTenant("acme")
	noise := s.AccountIn(acme, "noise", svcauth.TokensIntrospect)
	token := s.Token(noise.ClientID, noise.ClientSecret, "")
	for i := range 2 {
		require.Equal(t, 204, ack(t, s, token, fmt.Sprintf(`{"cursor":"0","instance":"%d"}`, i)).Status)
	}
	require.Equal(t, 503, ack(t, s, token, `{"cursor":"0","instance":"2"}`).Status)

	theirs, api := s.AccountIn(acme, "ci", "clusters:view"), s.AccountIn(acme, "api", svcauth.TokensIntrospect)
	require.Equal(t, "snapshot", follow(t, s, s.Token(api.ClientID, api.ClientSecret, ""), "", "Svcauth-Instance",
		"one").next().Event)
	require.Equal(t, svcauth.Enforcement{NotCounted: true}, withoutTime(enforcement(t, s, theirs, "1s")))
	e, err := s.AdminOf(acme).DeleteServiceAccount(t.Context(), theirs.ID, time.Second)
	require.NoError(t, err)
	require.Equal(t, svcauth.Enforcement{NotCounted: true}, withoutTime(*e))

	ours, own := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	token = s.Token(own.ClientID, own.ClientSecret, "")
	require.Equal(t, "snapshot", follow(t, s, token, "", "Svcauth-Instance", "one").next().Event)
	require.Equal(t, svcauth.Enforcement{Connected: 1}, withoutTime(enforcement(t, s, ours, "10ms")),
		"the operator's are counted")
}
