package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/manage"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func adminToken(s *svctest.Server) string {
	return s.OwnToken(s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret)
}

// RFC 9110 §13.1.1, §8.8.3.2: If-Match takes the ETag as it came, or *.
func TestIfMatch(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	admin, account := adminToken(s), s.Account("ci")
	path := "/v1/service-accounts/" + account.ID
	first := s.Get(path, admin)
	require.Equal(t, `"1"`, first.Header.Get("ETag"))
	for i, test := range []struct {
		match  string
		status int
	}{
		{first.Header.Get("ETag"), 200}, {first.Header.Get("ETag"), 412}, {`"2"`, 200}, {"*", 200}, {"", 200},
		{`"999"`, 412}, {`"-1"`, 412}, {`"0"`, 412}, {`"other"`, 412}, {`W/"5"`, 412}, {`"5-gzip"`, 412},
		{"5", 422}, {`"5`, 422}, {`"4", "5"`, 422}, {`""`, 412},
	} {
		a := ask(t, s, http.MethodPatch, path, admin, fmt.Sprintf(`{"description":"change %d"}`, i),
			"If-Match", test.match)
		require.Equal(t, test.status, a.Status, "%s: %s", test.match, a.Text)
		if test.status == 200 {
			require.Equal(t, s.Get(path, admin).Header.Get("ETag"), a.Header.Get("ETag"))
		} else {
			requireProblem(t, a, test.status, a.JSON["code"].(string))
		}
		changed := test.status == 412 && (test.match == `"1"` || test.match == `"999"`)
		require.Equal(t, changed, strings.Contains(a.Text, "Somebody else changed this"), "only then is it true: %s %s",
			test.match, a.Text)
		if test.status == 412 && !changed {
			require.Equal(t, svcauth.CodePreconditionFailed, a.JSON["code"])
			require.Contains(t, a.JSON["detail"], `send "7"`)
		}
	}
}

// RFC 9110 §13.1.1: what must not be done if a condition is false is not done
// by a call that does not look at the condition.
func TestNoChangeUnderAConditionThatIsNotLookedAt(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	admin, account := adminToken(s), s.Account("ci")
	path := "/v1/service-accounts/" + account.ID
	for _, c := range []struct{ method, path, body, name, value string }{
		{http.MethodDelete, path, "", "If-Match", `"999"`}, {http.MethodDelete, path, "", "If-Match", `"1"`},
		{http.MethodPost, path + "/secrets", "{}", "If-None-Match", "*"},
		{http.MethodPatch, path, `{"description":"x"}`, "If-None-Match", `"1"`},
		{http.MethodPost, path + "/revoke-tokens", "", "If-Match", `"999"`},
		{http.MethodPatch, path + "/secrets/" + account.Secrets[0].ID, `{"description":"x"}`, "If-Match", `"1"`},
	} {
		a := ask(t, s, c.method, c.path, admin, c.body, c.name, c.value)
		requireProblem(t, a, 422, svcauth.CodeInvalid)
		require.Equal(t, "header."+c.name, a.JSON["errors"].([]any)[0].(map[string]any)["location"])
	}
	left := s.Get(path, admin)
	require.Equal(t, `"1"`, left.Header.Get("ETag"), "nothing was changed")
	require.Len(t, left.JSON["secrets"], 1)
	require.Equal(t, 200, ask(t, s, http.MethodGet, path, admin, "", "If-Match", `"999"`, "If-None-Match",
		`"1"`).Status)
	require.Equal(t, 204, ask(t, s, http.MethodDelete, path, admin, "", "If-Match", "*").Status)
}

// Of two who change the same version at once, one wins and the other learns it.
func TestConcurrentChangesOfOneVersion(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	client, account := s.Admin(), s.Account("ci")
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() {
			_, results[i] = client.UpdateServiceAccount(t.Context(), account.ID, account.Version,
				svcauth.ServiceAccountPatch{Description: ptr(fmt.Sprint("by ", i))}, 0)
		})
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		var p *svcauth.Problem
		if err == nil {
			won++
		} else if errors.As(err, &p) {
			require.Equal(t, svcauth.CodePreconditionFailed, p.Code)
		} else {
			require.NoError(t, err)
		}
	}
	require.Equal(t, 1, won)
}

// A walk over the pages sees each thing that was there before exactly once,
// whatever is added and removed meanwhile.
func TestCursorsMissAndRepeatNothing(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { walkWhileOthersInsert(t, svctest.Options{}) })
	t.Run("PostgreSQL and Redis", func(t *testing.T) {
		walkWhileOthersInsert(t, svctest.Options{Postgres: true, RedisURL: redistest.URL(t)})
	})
}

func walkWhileOthersInsert(t *testing.T, opts svctest.Options) {
	s := svctest.New(t, opts)
	client := s.Admin()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	insert := func(i int) []string {
		account, err := s.App.Access.CreateServiceAccount(s.System(),
			svcauth.NewServiceAccount{Name: fmt.Sprintf("account %04d", i)})
		require.NoError(t, err)
		role, err := s.App.Access.CreateRole(s.System(), svcauth.NewRole{Name: fmt.Sprintf("role %04d", i)})
		require.NoError(t, err)
		return []string{account.ID, role.ID}
	}
	there := map[string]bool{}
	for i := range 25 {
		for _, id := range insert(i) {
			there[id] = true
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 1000; ctx.Err() == nil && i < 1400; i++ {
			insert(i)
		}
	})
	seen := map[string]int{}
	note := func(id string, err error) {
		require.NoError(t, err)
		seen[id]++
	}
	for a, err := range svcauth.All(ctx, client.ServiceAccounts, svcauth.ListOptions{Limit: 3}) {
		note(a.ID, err)
	}
	for a, err := range svcauth.All(ctx, client.ServiceAccounts, svcauth.ListOptions{Limit: 2, Name: "account 00"}) {
		note("named "+a.ID, err)
	}
	for r, err := range svcauth.All(ctx, client.Roles, svcauth.ListOptions{Limit: 3}) {
		note(r.ID, err)
	}
	audited := map[string]int{}
	creations := func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.AuditEvent], error) {
		return client.AuditEvents(ctx, svcauth.AuditFilter{ListOptions: o, Action: "service_account.create"})
	}
	for e, err := range svcauth.All(ctx, creations, svcauth.ListOptions{Limit: 20}) {
		require.NoError(t, err)
		audited[e.Target.ID]++
	}
	stop()
	wg.Wait()
	for id := range there {
		require.Equal(t, 1, seen[id], id)
		if svcauth.ValidID(svcauth.PrefixServiceAccount, id) {
			require.Equal(t, 1, seen["named "+id], id)
			require.Equal(t, 1, audited[id], id)
		}
	}
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
}

// What is no call of the API is answered by a problem too.
func TestWhatIsNoCall(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	admin := adminToken(s)
	for _, path := range []string{"/v1", "/v1/", "/v1/nothing", "/v1/service-accounts/", "/v1/service-accounts/x/y/z"} {
		requireProblem(t, s.Get(path, admin), 404, svcauth.CodeNotFound)
	}
	for path, allow := range map[string][]string{"/v1/service-accounts": {"GET", "HEAD", "POST"},
		"/v1/me": {"GET", "HEAD"}, "/v1/roles/" + svcauth.NewID("role"): {"GET", "HEAD", "PATCH", "DELETE"}} {
		a := ask(t, s, http.MethodPut, path, admin, "{}")
		requireProblem(t, a, 405, svcauth.CodeMethodNotAllowed)
		got := strings.Split(strings.ReplaceAll(a.Header.Get("Allow"), " ", ""), ",")
		slices.Sort(got)
		slices.Sort(allow)
		require.Equal(t, allow, got)
	}
	// An id that a script failed to fill in must not end whichever grant there
	// is.
	a := ask(t, s, http.MethodDelete, "/v1/service-accounts/"+svcauth.NewID(svcauth.PrefixServiceAccount)+"/roles/"+
		svcauth.NewID(svcauth.PrefixRole)+"?grant=", admin, "")
	requireProblem(t, a, 422, svcauth.CodeInvalid)
	require.Equal(t, "query.grant", a.JSON["errors"].([]any)[0].(map[string]any)["location"])
	moment := s.Get("/v1/audit-events?since=2026-01-01T00:00:00+02:00", admin)
	requireProblem(t, moment, 422, svcauth.CodeInvalid)
	require.Contains(t, moment.JSON["detail"], "within a URL, + is written %2B")
	for query, at := range map[string]string{"limit=0": "query.limit", "limit=201": "query.limit",
		"limit=x": "query.limit", "limit=5&limit=6": "query.limit", "cursor=%00": "query.cursor",
		"cursor=%ff": "query.cursor", "cursor=abc": "query.cursor", "name=a": "query.name",
		"nam%20e=1": "query.nam e"} {
		a := s.Get("/v1/members?"+query, admin)
		requireProblem(t, a, 422, svcauth.CodeInvalid)
		require.Equal(t, at, a.JSON["errors"].([]any)[0].(map[string]any)["location"], query)
	}
	requireProblem(t, s.Get("/v1/members?limit=%zz", admin), 400, svcauth.CodeMalformed)
	for query, at := range map[string]string{"since=yesterday": "query.since", "until=2026-01-01": "query.until",
		"actor=" + strings.Repeat("x", 65): "query.actor"} {
		a := s.Get("/v1/audit-events?"+query, admin)
		requireProblem(t, a, 422, svcauth.CodeInvalid)
		require.Equal(t, at, a.JSON["errors"].([]any)[0].(map[string]any)["location"], query)
	}
	for query, want := range map[string]string{
		"action=role.creat":                       "did you mean role.create",
		"action=secret.*&action=x.y":              `There is no action \"x.y`,
		"actor=nobody@example.com":                "is called \\\"nobody@example.com",
		"after=evt_1":                             "after goes with order=asc",
		"order=asc&after=evt_1":                   "no id of an event",
		"order=up":                                "asc",
		"order=asc&after=" + svcauth.NewID("evt"): "The log has no event",
		"actor=a&actor=b":                         "give it once",
	} {
		a := s.Get("/v1/audit-events?"+query, admin)
		requireProblem(t, a, 422, svcauth.CodeInvalid)
		require.Contains(t, a.Text, want, query)
	}
	for _, query := range []string{"action=role.*&action=secret.*", "action=role.create,role.delete", "order=desc",
		"order=asc"} {
		require.Equal(t, 200, s.Get("/v1/audit-events?"+query, admin).Status, query)
	}
	for _, wait := range []string{"x", "-1s", "10.001s", "5"} {
		a := ask(t, s, http.MethodDelete, "/v1/service-accounts/"+svcauth.NewID("sa")+"?wait="+wait, admin, "")
		requireProblem(t, a, 422, svcauth.CodeInvalid)
	}
	for _, header := range []string{"Basic eDp5", "Bearer", "Bearer ", "Token x"} {
		req, err := http.NewRequest(http.MethodGet, s.URL+"/v1/me", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", header)
		a := s.Do(req)
		requireProblem(t, a, 401, svcauth.CodeUnauthenticated)
		require.Equal(t, `Bearer realm="svcauth"`, a.Header.Get("WWW-Authenticate"))
	}
	require.NotContains(t, s.Log(), `"level":"ERROR"`)
}

// With ?wait= the answer says what is enforced; nobody is connected here.
func TestWaiting(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	client, account := s.Admin(), s.Account("ci")
	off, err := client.UpdateServiceAccount(t.Context(), account.ID,
		0, svcauth.ServiceAccountPatch{Disabled: ptr(true)}, 2e9)
	require.NoError(t, err)
	require.NotNil(t, off.Enforcement)
	require.Zero(t, off.Enforcement.Connected)
	gone, err := client.DeleteServiceAccount(t.Context(), account.ID, 2e9)
	require.NoError(t, err)
	require.NotNil(t, gone)
}

// A call that waits holds no slot. There is only one here, and others get it
// meanwhile.
func TestWaitingHoldsNoPlace(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account, token := s.Account("ci"), adminToken(s)
	waits, goOn := make(chan struct{}), make(chan struct{})
	via := reframed(t, s, 1, manage.Config{
		Enforced: func(context.Context, time.Duration) svcauth.Enforcement {
			close(waits)
			<-goOn
			return svcauth.Enforcement{Connected: 1, Enforced: 1}
		},
		Expect: func(context.Context) (done func()) { return func() {} },
	})
	answered := make(chan svctest.Answer, 1)
	go func() {
		answered <- ask(t, via, http.MethodDelete, "/v1/service-accounts/"+account.ID+"?wait=2s", token, "")
	}()
	<-waits
	require.Equal(t, 200, via.Get("/v1/me", token).Status)
	require.Equal(t, 200, via.Get("/v1/me", token).Status, "and the place is given back once, not twice")
	close(goOn)
	require.EqualValues(t, 1, (<-answered).JSON["enforced"])
	require.Equal(t, 200, via.Get("/v1/me", token).Status)
}

// One line a request: who, what, how it ended; no secret and no token.
func TestLogOfACall(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	client := s.Admin()
	made, err := client.CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{Name: "ci"})
	require.NoError(t, err)
	own := svcauth.NewSecret()
	_, err = client.CreateSecret(t.Context(), made.ID, svcauth.NewSecretRequest{ClientSecret: own})
	require.NoError(t, err)
	_, err = client.CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{Name: "ci"})
	require.Error(t, err)
	token := adminToken(s)
	s.Get("/v1/me", token+"x")
	log := s.Log()
	require.Contains(t, log, `"route":"/v1/service-accounts/:id/secrets","status":201,"client_id":"`+
		s.Tenant.ApplicationKey.ClientID+`","actor":"`+s.Tenant.AdminID+`","reason":""`)
	require.Contains(t, log, `"status":409,"client_id":"`+s.Tenant.ApplicationKey.ClientID+`","actor":"`+
		s.Tenant.AdminID+`","reason":"conflict"`)
	require.Contains(t, log, `"status":401,"client_id":"","actor":"","reason":"unauthenticated"`)
	for _, secret := range []string{made.ClientSecret.Reveal(), own.Reveal(), token[len(token)-40:], "eyJ"} {
		require.NotContains(t, log, secret)
	}
}

// The console's session counts, for changes only from our own pages, and never
// beside a token.
func TestSessionActor(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	actor := access.Actor{ID: s.Tenant.AdminID, Kind: svcauth.KindMember, Name: svctest.AdminEmail,
		OrgID: s.Tenant.Organization.ID, Operator: true,
		Privileges: []string{svcauth.MembersRead, svcauth.MembersManage}}
	via := reframed(t, s, 10, manage.Config{
		SessionActor: func(r *http.Request) (access.Actor, bool, error) {
			c, err := r.Cookie("session")
			return actor, err == nil && c.Value == "good", nil
		},
	})
	const body = `{"name":"by the console"}`
	for _, test := range []struct {
		name, method, body string
		header             []string
		status             int
	}{
		{"reads", http.MethodGet, "", []string{"Cookie", "session=good"}, 200},
		{"no session", http.MethodGet, "", []string{"Cookie", "session=bad"}, 401},
		{"reads from elsewhere: the browser keeps the answer from that page", http.MethodGet, "",
			[]string{"Cookie", "session=good", "Sec-Fetch-Site", "cross-site"}, 200},
		{"changes from elsewhere", http.MethodPost, body,
			[]string{"Cookie", "session=good", "Sec-Fetch-Site", "cross-site"}, 403},
		{"changes from a sibling site", http.MethodPost, body,
			[]string{"Cookie", "session=good", "Sec-Fetch-Site", "same-site"}, 403},
		{"changes from elsewhere in an old browser", http.MethodPost, body,
			[]string{"Cookie", "session=good", "Origin", "https://evil.example"}, 403},
		{"changes with a bad token beside the session", http.MethodPost, body,
			[]string{"Cookie", "session=good", "Authorization", "Bearer x", "Sec-Fetch-Site", "same-origin"}, 401},
		{"changes from our own page", http.MethodPost, body,
			[]string{"Cookie", "session=good", "Sec-Fetch-Site", "same-origin"}, 201},
		{"changes from our own page in an old browser, behind a proxy with a Host of its own", http.MethodPost,
			`{"name":"by an old one"}`, []string{"Cookie", "session=good", "Origin", s.Issuer}, 201},
	} {
		a := ask(t, via, test.method, "/v1/service-accounts", "", test.body, test.header...)
		require.Equal(t, test.status, a.Status, "%s: %s", test.name, a.Text)
	}
}

// A tenant's Administrator tries to get what is the operator's: everybody's
// tokens, the feed's other entries, the list of connected resource servers.
func TestTenantSeesNothingOfOthers(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	other := s.NewTenant("other")
	account := s.Account("theirs", "clusters:view")
	token := s.Token(account.ClientID, account.ClientSecret, "")
	key := other.ApplicationKey
	require.False(t, s.Active(key.ClientID, key.ClientSecret, token), "introspection of another organization's token")
	require.True(t, s.Active(s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret, token),
		"the operator's may")
	client := s.AdminOf(other)
	for _, id := range []string{account.ClientID, svcauth.NewID("sa")} { // another's client is as unknown as none
		_, err := client.Explain(t.Context(), svcauth.ExplainRequest{ClientID: id})
		var p *svcauth.Problem
		require.True(t, errors.As(err, &p), "got %v", err)
		require.Equal(t, svcauth.CodeNotFound, p.Code)
	}
	_, err := s.Admin().RevokeTokens(t.Context(), account.ID, 0)
	require.NoError(t, err)
	stranger := s.OwnToken(key.ClientID, key.ClientSecret)
	feed := s.Get("/oauth2/revocations", stranger)
	require.Equal(t, 200, feed.Status, feed.Text)
	require.NotContains(t, feed.Text, account.ClientID)
	events, err := client.AuditEvents(t.Context(), svcauth.AuditFilter{ListOptions: svcauth.ListOptions{Limit: 200}})
	require.NoError(t, err)
	for _, e := range events.Items {
		require.Equal(t, other.Organization.ID, e.OrganizationID)
	}
	servers, err := client.ResourceServers(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, servers.Items)
}
