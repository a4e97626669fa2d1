package server_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A full token hands over whatever its holder holds. One that is not bound is
// none beside a role that demands that: whoever steals it could else have what
// that role gives by a role of its own, or take the demand away.
func TestUnboundTokenHandsOverNothingOfBoundRoles(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := newProver(t, s, svcauth.RolesManage)
	yes, no := true, false
	role, err := s.App.Access.CreateRole(s.System(), svcauth.NewRole{
		Name: "Bound", Privileges: []string{"clusters:view"}, RequiresBinding: true})
	require.NoError(t, err)
	_, err = s.App.Access.AssignServiceAccountRole(s.System(), p.account.ID, role.ID, svcauth.GrantRequest{})
	require.NoError(t, err)
	_, err = s.App.Access.UpdateOrganization(s.System(), 0,
		svcauth.OrganizationPatch{ServiceAccountsMayManageAccess: &yes})
	require.NoError(t, err)

	form := url.Values{"grant_type": {"client_credentials"}, "resource": {s.Issuer}}
	unbound := func() string {
		answer := p.ask(tokenEndpoint, form)
		require.Equal(t, "Bearer", answer.JSON["token_type"], answer.Text)
		return answer.JSON["access_token"].(string)
	}
	put := func(name string) string { return `{"name":"` + name + `","privileges":["clusters:view"]}` }
	stolen := unbound()
	for _, refused := range []svctest.Answer{
		p.call("POST", "/v1/roles", "Bearer", stolen, put("a")),
		p.call("PATCH", "/v1/roles/"+role.ID, "Bearer", stolen, `{"requires_binding":false}`),
	} {
		require.Equal(t, http.StatusForbidden, refused.Status, refused.Text)
		require.Contains(t, refused.Text, "this token does not carry: clusters:view")
	}

	proven := p.ask(tokenEndpoint, form, p.proof("POST", tokenEndpoint, "", "")).JSON["access_token"].(string)
	made := p.call("POST", "/v1/roles", "DPoP", proven, put("b"),
		p.proof("POST", "/v1/roles", "", proven))
	require.Equal(t, http.StatusCreated, made.Status, made.Text)
	_, err = s.Admin().UpdateRole(t.Context(), role.ID, 0, svcauth.RolePatch{RequiresBinding: &no}, 0)
	require.NoError(t, err)
	made = p.call("POST", "/v1/roles", "Bearer", unbound(), put("c"))
	require.Equal(t, http.StatusCreated, made.Status, made.Text)
}
