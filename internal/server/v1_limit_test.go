package server_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// What strangers and clients do without a change of anybody else's stands in
// the client's organization's log, joined by the minute.
func TestWhatClientsDoStandsInTheirLog(t *testing.T) {
	backends(t, func(t *testing.T, p protocol) {
		tenant := p.NewTenant("tenant")
		client := p.AccountIn(tenant, "theirs", "clusters:view")
		for range 4 {
			p.Post("/oauth2/token", client.ClientID, svcauth.NewSecret(),
				map[string][]string{"grant_type": {"client_credentials"}})
			p.Post("/oauth2/token", svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewSecret(),
				map[string][]string{"grant_type": {"client_credentials"}})
		}
		for range 3 {
			token := p.Token(client.ClientID, client.ClientSecret, "")
			require.Equal(t, http.StatusOK,
				p.Post("/oauth2/revoke", client.ClientID, client.ClientSecret, tokenForm(token)).Status)
		}
		of := func(action string) (count int, first svcauth.AuditEvent) {
			list, err := p.AdminOf(tenant).AuditEvents(t.Context(), svcauth.AuditFilter{Action: action})
			require.NoError(t, err)
			require.LessOrEqual(t, len(list.Items), 2, "one, or two where the minute has ended meanwhile")
			for _, e := range list.Items {
				count, first = count+e.Count, e
			}
			return count, first
		}
		count, wrong := of("client.authenticate")
		require.Equal(t, 4, count)
		require.Equal(t, svcauth.OutcomeRefused, wrong.Outcome)
		require.Equal(t, svcauth.AuditTarget{ID: client.ID, Kind: svcauth.KindServiceAccount, Name: "theirs"},
			wrong.Target)
		require.Equal(t, svcauth.KindUnknown, wrong.Actor.Kind)
		require.Equal(t, "127.0.0.1", wrong.IP)
		count, revoked := of("token.revoke")
		require.Equal(t, 3, count)
		require.Equal(t, svcauth.OutcomeDone, revoked.Outcome)
		require.Equal(t, client.ID, revoked.Actor.ID)
		require.Equal(t, "token", revoked.Target.Kind)
	})
}

// A caller that asks too often is told to wait; others are served meanwhile.
func TestCallsOfOneCallerAreBounded(t *testing.T) {
	p := newProtocol(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MANAGEMENT_PER_SECOND=5"}})
	noisy, quiet := p.Account("noisy", svcauth.RolesManage), p.Account("quiet", svcauth.RolesManage)
	call := func(token string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/v1/roles", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := p.HTTP.Do(req)
		require.NoError(t, err)
		_ = resp.Body.Close()
		return resp
	}
	own := func(a svcauth.ServiceAccount) string {
		issued := p.Post("/oauth2/token", a.ClientID, a.ClientSecret,
			url.Values{"grant_type": {"client_credentials"}, "resource": {p.Issuer}})
		require.Equal(t, http.StatusOK, issued.Status)
		return issued.JSON["access_token"].(string)
	}
	token, other := own(noisy), own(quiet)
	var mu sync.Mutex
	statuses := map[int]int{}
	var refused *http.Response
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			resp := call(token)
			mu.Lock()
			defer mu.Unlock()
			if statuses[resp.StatusCode]++; resp.StatusCode == http.StatusTooManyRequests {
				refused = resp
			}
		})
	}
	group.Wait()
	require.NotZero(t, statuses[http.StatusOK], "%v", statuses)
	require.NotZero(t, statuses[http.StatusTooManyRequests], "%v", statuses)
	require.Equal(t, 40, statuses[http.StatusOK]+statuses[http.StatusTooManyRequests], "%v", statuses)
	seconds, err := strconv.Atoi(refused.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, seconds)
	require.True(t, strings.HasPrefix(refused.Header.Get("Content-Type"), "application/problem+json"))
	require.Equal(t, http.StatusOK, call(other).StatusCode, "another caller is served")
	require.Eventually(t, func() bool { return call(token).StatusCode == http.StatusOK }, time.Minute,
		100*time.Millisecond, "and so is this one, later")
}

// Calls that a rule refuses are the sooner too many.
func TestRefusedCallsAreTheSoonerTooMany(t *testing.T) {
	p := newProtocol(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MANAGEMENT_PER_SECOND=20"}})
	account := p.Account("without any role")
	issued := p.Post("/oauth2/token", account.ClientID, account.ClientSecret,
		url.Values{"grant_type": {"client_credentials"}, "resource": {p.Issuer}})
	require.Equal(t, http.StatusOK, issued.Status)
	statuses := map[int]int{}
	began := time.Now()
	for statuses[http.StatusTooManyRequests] == 0 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/v1/roles", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+issued.JSON["access_token"].(string))
		resp, err := p.HTTP.Do(req)
		require.NoError(t, err)
		_ = resp.Body.Close()
		statuses[resp.StatusCode]++
	}
	require.NotZero(t, statuses[http.StatusForbidden], "%v", statuses)
	seconds := int(time.Since(began).Seconds())
	require.LessOrEqual(t, statuses[http.StatusForbidden], 4+2*(seconds+1), "%v: a tenth of those that are answered",
		statuses)
}
