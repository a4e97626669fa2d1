package server_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// A real nginx that compresses everything makes weak entity tags of ours. Who
// changes what somebody else has changed meanwhile is refused all the same, and
// who sends the weak tag back is told what is wrong with it.
func TestChangesBehindACompressingProxy(t *testing.T) {
	address := freeport.Address(t)
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_ISSUER=http://" + address}})
	svctest.Nginx(t, address, "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;\nlocation / { proxy_pass "+
		s.URL+"; }")
	via := *s
	via.Issuer, via.URL = "http://"+address, "http://"+address
	client, ctx := via.Admin(), t.Context()
	made, err := client.CreateRole(ctx, svcauth.NewRole{Name: "shared"})
	require.NoError(t, err)
	read, err := client.Role(ctx, made.ID)
	require.NoError(t, err)
	require.Equal(t, []string{}, read.Privileges)
	description := "somebody else's"
	_, err = client.UpdateRole(ctx, made.ID, 0, svcauth.RolePatch{Description: &description}, 0)
	require.NoError(t, err)
	_, err = client.UpdateRole(ctx, made.ID, read.Version, svcauth.RolePatch{Description: &description}, 0)
	var p *svcauth.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, svcauth.CodePreconditionFailed, p.Code)
	require.Contains(t, p.Detail, "Somebody else changed this")

	path, admin := "/v1/roles/"+made.ID, adminToken(&via)
	got := ask(t, &via, http.MethodGet, path, admin, "", "Accept-Encoding", "gzip")
	require.Equal(t, "gzip", got.Header.Get("Content-Encoding"))
	require.Equal(t, `W/"2"`, got.Header.Get("ETag"))
	refused := ask(t, &via, http.MethodPatch, path, admin, `{"description":"mine"}`, "If-Match", got.Header.Get("ETag"),
		"Accept-Encoding", "identity")
	requireProblem(t, refused, 412, svcauth.CodePreconditionFailed)
	require.Contains(t, refused.JSON["detail"], `send "7"`)
	require.Equal(t, 200, ask(t, &via, http.MethodPatch, path, admin, `{"description":"mine"}`, "If-Match", `"2"`,
		"Accept-Encoding", "identity").Status)
}
