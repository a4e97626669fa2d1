package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// refusedRequest makes a token request that must be refused, and returns the id
// of the request.
func refusedRequest(t *testing.T, s *svctest.Server, id string, secret svcauth.Secret, form url.Values) string {
	t.Helper()
	form.Set("grant_type", "client_credentials")
	answer := s.Post("/oauth2/token", id, secret, form)
	require.GreaterOrEqual(t, answer.Status, 400, answer.Text)
	return answer.Header.Get("X-Request-Id")
}

// explained returns the first link that failed, and what is said of it.
func explained(t *testing.T, c *svcauth.Client, request string) (link, detail string) {
	t.Helper()
	e, err := c.Explain(t.Context(), svcauth.ExplainRequest{RequestID: request})
	require.NoError(t, err)
	require.False(t, e.Allowed)
	for _, step := range e.Steps {
		if step.Outcome == svcauth.StepFailed {
			return step.Name, step.Detail
		}
	}
	t.Fatalf("no link failed: %+v", e)
	return "", ""
}

func notExplained(t *testing.T, c *svcauth.Client, request string) {
	t.Helper()
	_, err := c.Explain(t.Context(), svcauth.ExplainRequest{RequestID: request})
	var problem *svcauth.Problem
	require.ErrorAs(t, err, &problem)
	require.Equal(t, svcauth.CodeNotFound, problem.Code)
	require.Contains(t, problem.Detail, "kept for 30 days")
}

// TestRefusalsReachTheOrganization has each way to be refused at the token
// endpoint, and who finds out: the organization, the operator, and nobody else.
func TestRefusalsReachTheOrganization(t *testing.T) {
	t.Parallel()
	s := svctest.New(t, svctest.Options{})
	tenant, other := s.NewTenant("tenant"), s.NewTenant("other")
	admin, operator := s.AdminOf(tenant), s.Admin()
	account := s.AccountIn(tenant, "ci", "clusters:view")
	get := func() svcauth.ServiceAccount {
		a, err := admin.ServiceAccount(t.Context(), account.ID)
		require.NoError(t, err)
		return a
	}
	require.Nil(t, get().LastRefused)

	wrong := refusedRequest(t, s, account.ID, svcauth.NewSecret(), url.Values{})
	link, detail := explained(t, admin, wrong)
	require.Equal(t, "credential", link)
	require.Contains(t, detail, "none of this client's")
	cut := refusedRequest(t, s, account.ID, account.ClientSecret[:40], url.Values{})
	_, detail = explained(t, admin, cut)
	require.Contains(t, detail, "cut, mistyped")
	last := get().LastRefused
	require.NotNil(t, last)
	require.Equal(t, cut, last.RequestIDs[0])
	require.Equal(t, "wrong_secret", last.Reason)
	require.Equal(t, "127.0.0.1", last.IP)
	require.False(t, last.Authenticated)

	scope := refusedRequest(t, s, account.ID, account.ClientSecret, url.Values{"scope": {"clusters:edit"}})
	link, detail = explained(t, admin, scope)
	require.Equal(t, "privileges", link)
	require.Contains(t, detail, "clusters:edit")
	target := refusedRequest(t, s, account.ID, account.ClientSecret, url.Values{"resource": {"https://no.example"}})
	link, _ = explained(t, admin, target)
	require.Equal(t, "audience", link)
	began := time.Now()
	get() // a call takes as long as the next one, which so comes in time
	soon := time.Now().Add(1100*time.Millisecond + 20*time.Since(began))
	expiring, err := admin.CreateSecret(t.Context(), account.ID, svcauth.NewSecretRequest{ExpiresAt: &soon})
	require.NoError(t, err)
	time.Sleep(time.Until(soon) + 10*time.Millisecond)
	expired := refusedRequest(t, s, account.ID, expiring.ClientSecret, url.Values{})
	link, detail = explained(t, admin, expired)
	require.Equal(t, "credential", link)
	require.Contains(t, detail, "expired on")
	_, err = admin.UpdateServiceAccount(t.Context(), account.ID, 0, svcauth.ServiceAccountPatch{Disabled: new(true)}, 0)
	require.NoError(t, err)
	disabled := refusedRequest(t, s, account.ID, account.ClientSecret, url.Values{})
	link, _ = explained(t, admin, disabled)
	require.Equal(t, "account", link)
	e, err := admin.Explain(t.Context(), svcauth.ExplainRequest{ClientID: account.ID})
	require.NoError(t, err)
	require.Equal(t, disabled, e.LastRefused.RequestIDs[0])
	require.True(t, e.LastRefused.Authenticated)
	require.NotEmpty(t, e.LastRefused.CredentialID)

	nobody := refusedRequest(t, s, svcauth.NewID(svcauth.PrefixServiceAccount), account.ClientSecret, url.Values{})
	for _, request := range []string{wrong, cut, scope, target, expired, disabled} {
		notExplained(t, s.AdminOf(other), request)
		explained(t, operator, request)
	}
	notExplained(t, admin, nobody)
	e, err = operator.Explain(t.Context(), svcauth.ExplainRequest{RequestID: nobody})
	require.NoError(t, err)
	require.Contains(t, e.Steps[0].Detail, "naming no client that exists")
	notExplained(t, admin, svcauth.NewID(svcauth.PrefixRequest))

	events, err := admin.AuditEvents(t.Context(), svcauth.AuditFilter{Action: "client.authenticate"})
	require.NoError(t, err)
	reasons := ""
	for _, event := range events.Items {
		require.Equal(t, account.ID, event.Target.ID)
		reasons += event.Reason + "\n"
	}
	for _, words := range []string{"was wrong", "expired on", "is disabled"} {
		require.Equal(t, 1, strings.Count(reasons, words), reasons)
	}
	again, err := s.AdminOf(other).AuditEvents(t.Context(), svcauth.AuditFilter{Action: "client.authenticate"})
	require.NoError(t, err)
	require.Empty(t, again.Items)
}

// TestARequestThatLeftAnEventIsExplainedByIt has a refused change of /v1.
func TestARequestThatLeftAnEventIsExplainedByIt(t *testing.T) {
	t.Parallel()
	s := svctest.New(t, svctest.Options{})
	weak := s.Account("weak", svcauth.MembersRead)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/roles",
		strings.NewReader(`{"name":"mine"}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+s.OwnToken(weak.ID, weak.ClientSecret))
	req.Header.Set("Content-Type", "application/json")
	answer := s.Do(req)
	require.Equal(t, http.StatusForbidden, answer.Status, answer.Text)
	_, detail := explained(t, s.Admin(), answer.Header.Get("X-Request-Id"))
	require.Contains(t, detail, "role.create")
	_, err = s.Client(weak.ID, weak.ClientSecret).Explain(t.Context(),
		svcauth.ExplainRequest{RequestID: answer.Header.Get("X-Request-Id")})
	require.ErrorContains(t, err, "audit:read")
}

// TestRefusalsOfAllNodesAreKnownToAll has two nodes that refuse the same.
func TestRefusalsOfAllNodesAreKnownToAll(t *testing.T) {
	t.Parallel()
	s := svctest.New(t, svctest.Options{Postgres: true})
	node := s.Node()
	account := s.Account("ci", "clusters:view")
	var ids []string
	for _, at := range []*svctest.Server{s, node, s, node} {
		ids = append(ids, refusedRequest(t, at, account.ID, svcauth.NewSecret(), url.Values{}))
		explained(t, at.Admin(), ids[len(ids)-1]) // writes what that node has
	}
	for _, id := range ids {
		explained(t, s.Admin(), id)
	}
	e, err := s.Admin().Explain(t.Context(), svcauth.ExplainRequest{RequestID: ids[0]})
	require.NoError(t, err)
	require.Equal(t, 4, e.Refusal.Count, "one row of both")
	require.ElementsMatch(t, ids, e.Refusal.RequestIDs)
}

// TestWhatTheServerFailedAtIsFoundByItsRequest takes the database away: who
// was told 503 finds out why, of their own requests, and of those that came too
// early to be anybody's.
func TestWhatTheServerFailedAtIsFoundByItsRequest(t *testing.T) {
	needs.Service(t, "PostgreSQL")
	t.Parallel()
	db := pgtest.Start(t, pgtest.Config{Durable: true})
	s := svctest.New(t, svctest.Options{DatabaseURL: db.NewDatabase()})
	tenant, other := s.NewTenant("tenant"), s.NewTenant("other")
	admin := s.AdminOf(tenant)
	account := s.AccountIn(tenant, "ci", "clusters:view")
	token := s.Token(account.ID, account.ClientSecret, "")
	own := s.OwnToken(account.ID, account.ClientSecret)
	ask := func(method, path, bearer string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+bearer)
		answer := s.Do(req)
		require.Equal(t, http.StatusServiceUnavailable, answer.Status, "%s: %s", path, answer.Text)
		return answer.Header.Get("X-Request-Id")
	}

	db.Kill()
	revocation := s.Post("/oauth2/revoke", account.ID, account.ClientSecret, url.Values{"token": {token}})
	require.Equal(t, http.StatusServiceUnavailable, revocation.Status, revocation.Text)
	revoked, listed := revocation.Header.Get("X-Request-Id"), ask(http.MethodGet, "/v1/roles", own)
	var early []string
	for range 3 {
		answer := s.Post("/oauth2/token", svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret(),
			url.Values{"grant_type": {"client_credentials"}})
		require.Equal(t, http.StatusServiceUnavailable, answer.Status, answer.Text)
		early = append(early, answer.Header.Get("X-Request-Id"))
	}
	db.Restart()
	require.Eventually(t, func() bool {
		_, err := admin.ServiceAccount(t.Context(), account.ID)
		return err == nil
	}, time.Minute, 50*time.Millisecond)

	for _, id := range []string{revoked, listed} {
		link, detail := explained(t, admin, id)
		require.Equal(t, "server", link)
		require.Contains(t, detail, "database")
		explained(t, s.Admin(), id)
		notExplained(t, s.AdminOf(other), id)
	}
	for _, c := range []*svcauth.Client{admin, s.Admin(), s.AdminOf(other)} {
		link, detail := explained(t, c, early[1])
		require.Equal(t, "server", link)
		require.Contains(t, detail, "database")
	}
	e, err := admin.Explain(t.Context(), svcauth.ExplainRequest{RequestID: early[1]})
	require.NoError(t, err)
	require.Equal(t, []string{early[1]}, e.Refusal.RequestIDs, "those of others are not told")
	require.Equal(t, 1, e.Refusal.Count)
	require.Empty(t, e.Refusal.IP+e.Refusal.UserAgent)
	e, err = s.Admin().Explain(t.Context(), svcauth.ExplainRequest{RequestID: early[1]})
	require.NoError(t, err)
	require.GreaterOrEqual(t, e.Refusal.Count, 3)
	a, err := admin.ServiceAccount(t.Context(), account.ID)
	require.NoError(t, err)
	require.Contains(t, []string{revoked, listed}, a.LastRefused.RequestIDs[0])
}
