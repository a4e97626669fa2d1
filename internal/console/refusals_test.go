package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestARefusedClientIsSeenOnItsPage goes from the page of the account to the
// request that was refused, and finds failed sign-ins on the member's page and
// on the profile.
func TestARefusedClientIsSeenOnItsPage(t *testing.T) {
	t.Parallel()
	s := svctest.New(t, svctest.Options{})
	account := s.Account("ci", "clusters:view")
	stranger := visit(t, s)
	wrong := stranger.signIn(svctest.AdminEmail, "a wrong password that is long")
	require.Equal(t, http.StatusUnauthorized, wrong.status)
	p := admin(t, s)
	page := "/console/service-accounts/" + account.ID
	require.Contains(t, p.get(page).body, "not within 30 days")
	require.Contains(t, p.get(page+"/refusals").body, "No refusals")
	answer := s.Post("/oauth2/token", account.ID, account.ClientSecret,
		url.Values{"grant_type": {"client_credentials"}, "scope": {"clusters:edit"}})
	require.Equal(t, http.StatusBadRequest, answer.Status)
	id := answer.Header.Get("X-Request-Id")

	tab := p.get(page + "/refusals").body
	require.Contains(t, tab, "invalid_scope")
	link := regexp.MustCompile(`href="(/console/requests\?id=[^"]+)"`).FindStringSubmatch(tab)
	require.NotNil(t, link, tab)
	require.Contains(t, link[1], id)
	require.Contains(t, p.get(link[1]).body, `service account &#34;ci&#34;`)
	require.Contains(t, p.get(page).body, "</a>: invalid_scope")
	require.Equal(t, http.StatusUnprocessableEntity, p.get("/console/requests?id=req_x").status)
	require.Contains(t, p.get("/console/requests?id="+svcauth.NewID(svcauth.PrefixRequest)).body, "Nothing is kept")

	members, err := s.Admin().Members(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)
	for _, path := range []string{"/console/members/" + members.Items[0].ID, "/console/profile"} {
		require.Eventually(t, func() bool { // events are written aside
			return regexp.MustCompile(`from 127\.0\.0\.1: The password was wrong`).MatchString(p.get(path).body)
		}, patience, 50*time.Millisecond, path)
	}
}
