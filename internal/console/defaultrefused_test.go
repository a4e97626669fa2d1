package console_test

import (
	"html"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// Who assigns a role by which an account, or a member's application keys, get
// no token any more without a resource is told so.
func TestAssigningNamesWhoGetsNoTokenByDefault(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{svctest.Catalog(t, map[string]string{
		svctest.CloudAPI: "profile: {preset: spring}",
	})}})
	p := admin(t, s)
	account := s.Account("ci", "clusters:view")
	role := s.Account("other", "billing:view").Roles[0]
	for holder, name := range map[string]string{
		"/console/service-accounts/" + account.ID: "The service account ci gets no token without a resource",
		"/console/members/" + s.Tenant.AdminID:    "The application keys of " + svctest.AdminEmail + " get no token",
	} {
		a := p.post(holder+"/roles", url.Values{"role": {role.ID}})
		if holder == "/console/service-accounts/"+account.ID { // before anything stops
			require.Equal(t, http.StatusUnprocessableEntity, a.status)
			require.Contains(t, html.UnescapeString(a.body), name)
			require.Contains(t, a.body, "Nothing is saved yet")
			require.NotContains(t, p.get(holder+"/roles").body, "/roles/"+role.ID+"/unassign")
			a = p.post(holder+"/roles", url.Values{"role": {role.ID}, "confirm": {"yes"}})
		}
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
		require.Contains(t, html.UnescapeString(p.get(holder+"/roles").body), name)
	}
}

// Who changes an account so is told too, and who makes such a key is told where
// its secret is shown.
func TestChangesNameWhoGetsNoTokenByDefault(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{svctest.Catalog(t, map[string]string{
		svctest.CloudAPI: "profile: {preset: spring}",
	})}})
	p := admin(t, s)
	account := s.Account("ci", "clusters:view")
	p.post("/console/service-accounts/"+account.ID+"/roles",
		url.Values{"role": {s.Account("other", "billing:view").Roles[0].ID}, "confirm": {"yes"}})
	const refused = "The service account ci gets no token without a resource"
	// warned shows what there is to warn of, and nothing is saved before that
	// is confirmed.
	warned := func(path string, form url.Values, warning string) answer {
		t.Helper()
		a := p.post(path, form)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, a.body)
		require.Contains(t, a.body, "Nothing is saved yet")
		require.Contains(t, html.UnescapeString(a.body), warning)
		if form == nil {
			form = url.Values{}
		}
		form.Set("confirm", "yes")
		return p.post(path, form)
	}
	said := func(path string, form url.Values, warns bool) string {
		t.Helper()
		post := func() answer { return p.post(path, form) }
		if warns {
			post = func() answer { return warned(path, form, refused) }
		}
		a := post()
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
		return html.UnescapeString(p.get(a.header.Get("Location")).body)
	}
	one := "/console/service-accounts/" + account.ID
	edit := func(resource, version string) string {
		return said(one+"/edit", url.Values{"name": {"ci"}, "ttl": {"3600"}, "version": {version},
			"default_resource": {resource}}, resource == "")
	}
	require.NotContains(t, edit(svctest.CloudAPI, "1"), refused)
	require.Contains(t, edit("", "2"), "Saved. "+refused)
	require.NotContains(t, said(one+"/disable", nil, false), refused)
	require.Contains(t, said(one+"/enable", nil, true), refused)
	const keys = "/console/application-keys"
	form := url.Values{"once": {p.field(keys+"/new", onceField)}}
	key := p.post(keys, form)
	require.Equal(t, http.StatusUnprocessableEntity, key.status)
	require.Contains(t, key.body, "Nothing is saved yet")
	form.Set("once", onceField.FindStringSubmatch(key.body)[1])
	form.Set("confirm", "yes")
	key = p.post(keys, form)
	require.Equal(t, http.StatusOK, key.status)
	require.Contains(t, html.UnescapeString(key.body), "The application keys of "+svctest.AdminEmail+" get no token")

	// Who changes a role is told of whoever holds it.
	held := s.Account("held", "clusters:view").Roles[0]
	at := "/console/roles/" + held.ID
	change := url.Values{"name": {held.Name}, "version": {"1"}, "privileges": {"clusters:view", "billing:view"}}
	require.Equal(t, http.StatusSeeOther, warned(at, change, "The service account held gets no token").status)
	require.Contains(t, html.UnescapeString(p.get(at).body), "The service account held gets no token")
}
