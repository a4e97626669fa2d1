package console_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Rows are found, sorted and paged by the server.
func TestTablesSearchSortAndPage(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	for i := range 55 {
		_, err := s.App.Access.CreateServiceAccount(s.System(), svcauth.NewServiceAccount{
			Name: "job-" + string(rune('a'+i%26)) + strings.Repeat("x", i/26),
		})
		require.NoError(t, err)
	}
	p := admin(t, s)
	rows := regexp.MustCompile(`<th scope="row" role="rowheader"><a [^>]*>([^<]+)</a>`)
	names := func(path string) (all []string) {
		a := p.get(path)
		require.Equal(t, 200, a.status)
		for _, m := range rows.FindAllStringSubmatch(a.body, -1) {
			all = append(all, m[1])
		}
		return all
	}
	require.Len(t, names("/console/service-accounts"), 50)
	next := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(p.get("/console/service-accounts").body)
	require.NotNil(t, next)
	require.Len(t, names(html.UnescapeString(next[1])), 5)
	sorted := names("/console/service-accounts?sort=name")
	require.Len(t, sorted, 55)
	require.IsIncreasing(t, sorted)
	require.IsDecreasing(t, names("/console/service-accounts?sort=-name"))
	require.Equal(t, []string{"job-ax", "job-axx", "job-a"}[0:1],
		names("/console/service-accounts?q=job-ax&sort=name")[0:1])
	require.Empty(t, names("/console/service-accounts?q=nothing"))
	require.Equal(t, 422, p.get("/console/service-accounts?cursor=%21").status)
}

// TestDialogsTellWhatWillBreak checks that before something is taken away the
// page says what dies with it, in numbers of what really is live.
func TestDialogsTellWhatWillBreak(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	f := furnish(t, s, "")
	operator, err := s.Admin().CreateRole(t.Context(), svcauth.NewRole{
		Name:       "Unrelated",
		Privileges: []string{"alarms:view"},
	})
	require.NoError(t, err)
	_, err = s.App.Access.AssignServiceAccountRole(s.System(), f.account.ID, operator.ID, svcauth.GrantRequest{})
	require.NoError(t, err)
	me, err := s.Admin().Me(t.Context())
	require.NoError(t, err)
	secrets, err := s.Admin().Secrets(t.Context(), f.account.ID)
	require.NoError(t, err)
	unused := secrets.Items[0]
	require.Equal(t, "rotation", unused.Description)
	account := "/console/service-accounts/" + f.account.ID
	p := admin(t, s)
	for path, want := range map[string]string{
		account +
			"/remove": "<strong>3 live tokens</strong>, fetched from 1 address.",
		account +
			"/disable": "<strong>3 live tokens</strong>, fetched from 1 address.",
		account +
			"/tokens/revoke": "<strong>3 live tokens</strong>, fetched from 1 address.",
		account + "/secrets/" + unused.ID + "/remove": "No live tokens.",
		account + "/roles/" + f.role.ID + "/unassign": "<strong>3 live tokens</strong>",
		// it was granted after they were issued
		account + "/roles/" + operator.ID + "/unassign":                       "No live tokens.",
		"/console/application-keys/" + f.key.ID + "/delete":                   "No live tokens.",
		"/console/application-keys/" + s.Tenant.ApplicationKey.ID + "/delete": "live token",
		"/console/members/" + me.ID +
			"/remove": "of 2 application keys, fetched from 1 address.",
		"/console/members/" + f.member.ID + "/remove": "No application keys, so no program is affected.",
	} {
		a := p.get(path)
		require.Equal(t, 200, a.status, path)
		require.Contains(t, a.body, want, path)
	}
}

// If not every live token has a record, the API, the list and the question
// before they are revoked say that there may be more.
func TestAListOfTokensThatMayLackSomeSaysSo(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	busy, calm := s.Account("busy", "clusters:view"), s.Account("calm", "clusters:view")
	s.Token(calm.ClientID, calm.ClientSecret, "")
	for range 1001 {
		s.Token(busy.ClientID, busy.ClientSecret, "")
	}
	p := admin(t, s)
	const more = "There may be more"
	for id, partial := range map[string]bool{busy.ID: true, calm.ID: false} {
		page, err := s.Admin().Tokens(t.Context(), id, svcauth.ListOptions{Limit: 1})
		require.NoError(t, err)
		require.Equal(t, partial, page.Partial)
		list := p.get("/console/service-accounts/" + id + "/tokens").body
		require.Equal(t, partial, strings.Contains(list, more))
		question := p.get("/console/service-accounts/" + id + "/tokens/revoke").body
		require.Equal(t, partial, strings.Contains(question, "At least 1,000 live tokens"))
		require.Equal(t, !partial,
			strings.Contains(question, "<strong>1 live token</strong>, fetched from 1 address. Last used"))
	}
}

// TestResourceServersAreShownAndSayWhatTheyEnforce checks that a resource
// server that follows the feed is on its page, and that what is taken away is
// said to be enforced.
func TestResourceServersAreShownAndSayWhatTheyEnforce(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("cluster-api", svcauth.TokensIntrospect)
	v, err := resourceserver.New(resourceserver.Config{
		Issuer:     s.Issuer,
		Audience:   "https://api.cloud.example",
		HTTPClient: s.HTTP,
		Feed: &resourceserver.Feed{Every: 50 * time.Millisecond,
			Token: func(context.Context) (string, error) { return s.Token(api.ClientID, api.ClientSecret, ""), nil }},
	})
	require.NoError(t, err)
	defer v.Close()
	ready, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, v.Ready(ready))
	p := admin(t, s)
	require.Eventually(t, func() bool {
		body := p.get("/console/resource-servers").body
		return strings.Contains(body, api.ClientID) && strings.Contains(body, "Up to date")
	}, patience, 50*time.Millisecond)
	a := p.post("/console/service-accounts/"+account.ID+"/remove", nil)
	require.Equal(t, http.StatusSeeOther, a.status)
	require.Contains(t, p.get(a.header.Get("Location")).body, "The service account ci is removed. "+
		"Its tokens no longer work. The resource server that is connected enforces it, after")
	tenant := s.NewTenant("other")
	stranger := visit(t, s)
	require.Equal(t, http.StatusSeeOther, stranger.signIn(tenant.AdminEmail, tenant.AdminPassword.Reveal()).status)
	require.NotContains(t, stranger.get("/console/resource-servers").body, api.ClientID,
		"of the operator's organization, not theirs")
}

// TestFullPagesAreLight checks that a full page stays light: 50 rows, each with
// what can be known of it. What answers a form is not compressed.
func TestFullPagesAreLight(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	for i := range 60 {
		_, err := s.App.Access.CreateServiceAccount(s.System(), svcauth.NewServiceAccount{
			Name:        fmt.Sprintf("job-%d", i),
			Description: strings.Repeat("what it does ", 15),
		})
		require.NoError(t, err)
	}
	p := admin(t, s)
	for _, path := range []string{"/console/service-accounts", "/console/audit-log"} {
		req, err := http.NewRequest(http.MethodGet, s.URL+path, nil)
		require.NoError(t, err)
		req.Header.Set("Accept-Encoding", "gzip")
		a := p.do(req)
		require.Equal(t, "gzip", a.header.Get("Content-Encoding"))
		require.Less(t, len(a.body), 40<<10, path)
	}
	req, err := http.NewRequest(http.MethodPost, s.URL+"/console/service-accounts",
		strings.NewReader(url.Values{
			"name": {"x"},
			"once": {p.field("/console/service-accounts/new", onceField)},
		}.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept-Encoding", "gzip")
	a := p.do(req)
	require.Empty(t, a.header.Get("Content-Encoding"))
	require.Regexp(t, secretForm, a.body)
}

// Who loses what with a role: what no other role of theirs gives. On both
// databases.
func TestRoleIsDeletedAfterTheListOfWhoLosesWhat(t *testing.T) {
	for name, postgres := range map[string]bool{"sqlite": false, "postgres": true} {
		t.Run(name, func(t *testing.T) {
			s := svctest.New(t, svctest.Options{Postgres: postgres})
			viewer, err := s.Admin().CreateRole(t.Context(), svcauth.NewRole{
				Name:       "Viewer",
				Privileges: []string{"clusters:view"},
			})
			require.NoError(t, err)
			editor, err := s.Admin().CreateRole(t.Context(), svcauth.NewRole{
				Name:       "Editor",
				Privileges: []string{"clusters:view", "clusters:edit"},
			})
			require.NoError(t, err)
			for name, roles := range map[string][]string{
				"one":   {editor.ID},
				"both":  {editor.ID, viewer.ID},
				"other": {viewer.ID},
			} {
				_, err := s.Admin().CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{
					Name:    name,
					RoleIDs: roles,
				})
				require.NoError(t, err)
			}
			me, err := s.Admin().Me(t.Context())
			require.NoError(t, err)
			_, err = s.Admin().InviteMember(t.Context(), svcauth.NewMember{
				Email:     "ann@example.com",
				FirstName: "Ann",
				LastName:  "Example",
				RoleIDs:   []string{editor.ID},
			})
			require.NoError(t, err)
			require.NoError(t,
				second(s.App.Access.AssignMemberRole(s.System(), me.ID, editor.ID, svcauth.GrantRequest{})))
			p := admin(t, s)
			body := p.get("/console/roles/" + editor.ID + "/delete").body
			text := regexp.MustCompile(`\s+`).ReplaceAllString(
				regexp.MustCompile(`<[^>]+>`).ReplaceAllString(body[strings.Index(body, "<dialog"):], " "), " ")
			require.Contains(t, text, "2 members and 2 service accounts hold it.")
			for _, line := range []string{"admin@example.com member loses nothing: other roles give the same",
				"ann@example.com member loses clusters:edit, clusters:view",
				"both service account loses clusters:edit", "one service account loses clusters:edit, clusters:view"} {
				require.Contains(t, text, line)
			}
			require.NotContains(t, text, "other service account")
			require.Equal(t, http.StatusSeeOther, p.post("/console/roles/"+editor.ID+"/delete", nil).status)
			require.Equal(t, 404, p.get("/console/roles/"+editor.ID).status)
		})
	}
}
