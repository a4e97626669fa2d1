package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestCrossSitePostIsRefused checks that what another site's page sends is
// refused, whatever the cookie says, even by a browser that only knows Origin.
func TestCrossSitePostIsRefused(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	form := url.Values{"name": {"planted"}, "once": {p.field("/console/service-accounts/new", onceField)}}
	for name, header := range map[string][]string{
		"another site":        {"Sec-Fetch-Site", "cross-site"},
		"a sibling host":      {"Sec-Fetch-Site", "same-site"},
		"an old browser":      {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"a page without host": {"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		a := p.post("/console/service-accounts", form, header...)
		require.Equal(t, 403, a.status, name)
		require.Contains(t, a.body, "a page of another site", name)
	}
	a := visit(t, s).post("/console/sign-in", url.Values{
		"email":    {svctest.AdminEmail},
		"password": {s.Tenant.AdminPassword.Reveal()},
	}, "Sec-Fetch-Site", "cross-site")
	require.Equal(t, 403, a.status, "nobody is signed in by another site's page")
	require.NotContains(t, p.get("/console/service-accounts").body, "planted")
	require.Equal(t, 200, p.post("/console/service-accounts", form).status, "the same form, from our own page")
}

// The secret is in one answer; sent again, the form makes nothing and shows
// nothing.
func TestSecretIsShownOnceAndAReloadMakesNothing(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	account := s.Account("ci")
	for name, c := range map[string]struct {
		form, post string
		fields     url.Values
		count      func() int
	}{
		"service account": {"/console/service-accounts/new", "/console/service-accounts", url.Values{
			"name": {"once"},
		}, func() int {
			l, err := s.Admin().ServiceAccounts(t.Context(), svcauth.ListOptions{Name: "once"})
			require.NoError(t, err)
			return len(l.Items)
		}},
		"secret": {"/console/service-accounts/" + account.ID + "/secrets/new", "/console/service-accounts/" +
			account.ID + "/secrets", url.Values{}, func() int {
			l, err := s.Admin().Secrets(t.Context(), account.ID)
			require.NoError(t, err)
			return len(l.Items) - 1
		}},
		"application key": {"/console/application-keys/new", "/console/application-keys", url.Values{
			"description": {"once"},
		}, func() int {
			l, err := s.Admin().ApplicationKeys(t.Context(), svcauth.ListOptions{})
			require.NoError(t, err)
			return len(l.Items) - 1
		}},
	} {
		c.fields.Set("once", p.field(c.form, onceField))
		a := p.post(c.post, c.fields)
		require.Equal(t, 200, a.status, name)
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		secret := secretForm.FindString(a.body)
		require.NotEmpty(t, secret, name)
		require.Equal(t, 1, c.count(), name)
		again := p.post(c.post, c.fields)
		require.Equal(t, http.StatusSeeOther, again.status, name)
		require.NotContains(t, again.body, "svcs_")
		after := p.get(again.header.Get("Location"))
		require.Contains(t, after.body, "sent before", name)
		require.NotContains(t, after.body, secret, name)
		require.Equal(t, 1, c.count(), name)
		require.NotContains(t, s.Log(), secret, name)
		require.NotContains(t, p.get("/console/audit-log").body, secret, name)
	}
	require.Equal(t, 400, p.post("/console/service-accounts", url.Values{"name": {"without"}}).status,
		"a form without its token")
}

// TestSecondEditorIsTold checks that of two people who edit the same thing the
// second is told. That one sees the other's values, keeps its own, and may save
// again.
func TestSecondEditorIsTold(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	f := furnish(t, s, "")
	first, second := admin(t, s), admin(t, s)
	edit := "/console/service-accounts/" + f.account.ID + "/edit"
	versions := []string{first.field(edit, versionField), second.field(edit, versionField)}
	form := func(name, version string) url.Values {
		return url.Values{"name": {name}, "description": {"d"}, "ttl": {"3600"}, "version": {version}}
	}
	require.Equal(t, http.StatusSeeOther, first.post(edit, form("theirs", versions[0])).status)
	a := second.post(edit, form("mine", versions[1]))
	require.Equal(t, http.StatusConflict, a.status)
	require.Contains(t, a.body, "Somebody else has changed this")
	require.Contains(t, a.body, `value="mine"`)
	require.Contains(t, a.body, "Now saved: theirs")
	again := versionField.FindStringSubmatch(a.body)
	require.Equal(t, http.StatusSeeOther, second.post(edit, form("mine", again[1])).status)

	role := "/console/roles/" + f.role.ID
	version := first.field(role, versionField)
	require.Equal(t, http.StatusSeeOther,
		first.post(role, url.Values{
			"name":       {f.role.Name},
			"version":    {version},
			"privileges": {"clusters:view", "alarms:view"},
		}).status)
	a = second.post(role, url.Values{
		"name":       {f.role.Name},
		"version":    {version},
		"privileges": {"clusters:view", "billing:view"},
	})
	require.Equal(t, http.StatusConflict, a.status)
	require.Contains(t, a.body, "alarms:view is on, billing:view is off")
	for path, form := range map[string]url.Values{
		"/console/settings":                         {"name": {"x"}, "version": {"999"}},
		"/console/members/" + f.member.ID + "/edit": {"first_name": {"x"}, "version": {"999"}},
	} {
		require.Equal(t, http.StatusConflict, first.post(path, form).status, path)
	}
}

// What was typed comes back with the reason beside the field.
func TestRefusedFormKeepsWhatWasTyped(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	long := strings.Repeat("n", 65)
	for path, form := range map[string]url.Values{
		"/console/service-accounts": {"name": {long}},
		"/console/roles":            {"name": {long}, "privileges": {"clusters:view"}},
		"/console/members":          {"email": {"no address"}, "first_name": {long}},
	} {
		form.Set("once", p.field("/console/service-accounts/new", onceField))
		a := p.post(path, form)
		require.Equal(t, 422, a.status, path)
		require.Contains(t, a.body, long, path)
		require.Contains(t, a.body, `aria-invalid="true"`, path)
		require.Contains(t, a.body, `class="wrong"`, path)
	}
	require.Equal(t, 413, p.post("/console/roles", url.Values{"name": {strings.Repeat("n", 200<<10)}}).status)
}

// TestARoleIsGivenUntilAMoment gives a role with an end to a service account
// and to a member: the page says when it ends, and refuses what can't be.
func TestARoleIsGivenUntilAMoment(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	f, p := furnish(t, s, ""), admin(t, s)
	roles, err := s.Admin().Roles(t.Context(), svcauth.ListOptions{})
	require.NoError(t, err)
	administrator := roles.Items[slices.IndexFunc(roles.Items, func(r svcauth.Role) bool {
		return r.Name == svcauth.RoleAdministrator
	})].ID
	end := time.Now().UTC().Add(48 * time.Hour).Truncate(time.Minute)
	for _, holder := range []string{"/console/service-accounts/" + f.account.ID, "/console/members/" + f.member.ID} {
		page := holder + "/roles"
		for _, bad := range []string{"2001-01-01T00:00", "tomorrow"} {
			a := p.post(page, url.Values{"role": {administrator}, "expires_at": {bad}})
			require.Equal(t, 422, a.status, page)
			require.Contains(t, a.body, `class="wrong" id="expires_at-wrong"`, page)
			require.Contains(t, a.body, `value="`+administrator+`" selected`, page)
		}
		a := p.post(page, url.Values{"role": {administrator}, "expires_at": {end.Format("2006-01-02T15:04")}})
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
		require.Contains(t, p.get(page).body, `<time datetime="`+end.Format(time.RFC3339)+`"`)
	}
	a := p.post("/console/members/"+s.Tenant.AdminID+"/roles", url.Values{
		"role":       {administrator},
		"expires_at": {end.Format("2006-01-02T15:04")},
	})
	require.Equal(t, 422, a.status)
	require.Contains(t, a.body, "is the last Administrator")
}

const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`

// Markup in a name is text, on every page.
func TestMarkupInNamesIsText(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	f := furnish(t, s, "<img src=x onerror=alert(1)>\"'")
	p := admin(t, s)
	require.Equal(t, http.StatusSeeOther,
		p.post("/console/profile", url.Values{
			"first_name": {"<b>bold</b>"},
			"last_name":  {`"><svg/onload=alert(1)>`},
		}).status)
	shown := false
	for _, page := range f.pages() {
		a := p.get(page[1])
		for _, markup := range []string{"<img", "<b>bold", "<svg/onload", "<script>alert"} {
			require.NotContains(t, a.body, markup, "%s: %s", page[0], page[1])
		}
		shown = shown || strings.Contains(a.body, "&lt;img src=x onerror=alert(1)&gt;")
	}
	require.True(t, shown, "the names are on no page")
	for _, path := range []string{"/console/members?q=", "/console/service-accounts?q=", "/console/roles?q=",
		"/console/audit-log?action=", "/console/audit-log?actor=", "/console/audit-log?since=",
		"/console/sign-in?next=", "/console/invitation?token="} {
		a := p.get(path + url.QueryEscape(hostile))
		require.NotContains(t, a.body, "<script>alert", path)
		require.NotContains(t, a.body, "<img", path)
	}
	a := p.post("/console/sign-in", url.Values{"email": {hostile}, "password": {"x"}, "next": {"javascript:alert(1)"}})
	require.NotContains(t, a.body, "<img")
	require.NotContains(t, a.body, "javascript:")
}
