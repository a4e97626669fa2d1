package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
)

func TestEachVerbNeedsItsPrivilege(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	v, err := resourceserver.New(resourceserver.Config{Issuer: s.Issuer, Audience: "https://api.cloud.example",
		HTTPClient: s.HTTP})
	require.NoError(t, err)
	defer v.Close()
	api := routes(v, newClusters())
	call := func(token, request, body string) *httptest.ResponseRecorder {
		method, path, _ := strings.Cut(request, " ")
		req := httptest.NewRequest(method, path, strings.NewReader(body))
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, req)
		return w
	}
	none := s.Account("none", "clusters:edit") // a privilege of this API that no verb asks for
	nothing := s.Token(none.ClientID, none.ClientSecret, "")
	for i, c := range []struct {
		request, privilege, body string
		status                   int
		says                     string
	}{
		{"GET /api/1.0/clusters", "clusters:view", "", 200, `"demo"`},
		{"POST /api/1.0/clusters", "clusters:create", `{"name":"east"}`, 201, `"east"`},
		{"POST /api/1.0/clusters/2/suspend", "clusters:suspend", "", 200, `"suspended"`},
		{"POST /api/1.0/clusters/2/resume", "clusters:resume", "", 200, `"running"`},
		{"DELETE /api/1.0/clusters/2", "clusters:release", "", 204, ""},
		{"DELETE /api/1.0/clusters/2", "clusters:release", "", 404, "no cluster"},
		{"POST /api/1.0/clusters", "clusters:create", `{}`, 422, "name"},
		{"GET /api/1.0/ping", "clusters:edit", "", 200, "clusters:edit"},
	} {
		account := s.Account("account"+string(rune('a'+i)), c.privilege)
		require.Equal(t, http.StatusUnauthorized, call("", c.request, c.body).Code, c.request)
		if c.privilege != "clusters:edit" {
			refused := call(nothing, c.request, c.body)
			require.Equal(t, http.StatusForbidden, refused.Code, c.request)
			require.Contains(t, refused.Body.String(), c.privilege)
		}
		answer := call(s.Token(account.ClientID, account.ClientSecret, ""), c.request, c.body)
		require.Equal(t, c.status, answer.Code, "%s: %s", c.request, answer.Body)
		require.Contains(t, answer.Body.String(), c.says)
	}
}
