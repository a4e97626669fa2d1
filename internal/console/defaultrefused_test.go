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
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
		require.Contains(t, html.UnescapeString(p.get(holder+"/roles").body), name)
	}
}
