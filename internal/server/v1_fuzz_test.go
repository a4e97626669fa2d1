package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// Whatever body comes to whatever call, nothing answers 500, and every refusal
// is a problem.
func FuzzManagementBodies(f *testing.F) {
	s := svctest.New(f, svctest.Options{})
	token := adminToken(s)
	account := s.Account("target", "clusters:view")
	calls := []struct{ method, path string }{
		{http.MethodPost, "/v1/service-accounts"}, {http.MethodPatch, "/v1/service-accounts/" + account.ID},
		{http.MethodPost, "/v1/service-accounts/" + account.ID + "/secrets"},
		{http.MethodPatch, "/v1/service-accounts/" + account.ID + "/secrets/" + account.Secrets[0].ID},
		{http.MethodPut, "/v1/service-accounts/" + account.ID + "/roles/" + account.Roles[0].ID},
		{http.MethodPost, "/v1/roles"}, {http.MethodPatch, "/v1/roles/" + account.Roles[0].ID},
		{http.MethodPost, "/v1/members"}, {http.MethodPost, "/v1/application-keys"},
		{http.MethodPatch, "/v1/organization"}, {http.MethodPost, "/v1/organizations"},
		{http.MethodPost, "/v1/explain"},
	}
	for _, body := range samples {
		for i := range calls {
			f.Add(uint8(i), body, "")
		}
	}
	for _, body := range []string{``, `null`, `[]`, `{"name":null}`, `{"name":1}`, `{"token_ttl_seconds":1e3}`,
		`{"token_ttl_seconds":9223372036854775808}`, `{"token_ttl_seconds":60.5}`,
		`{"expires_at":"9999-12-31T23:59:59Z"}`, `{"expires_at":"0000-01-01T00:00:00Z"}`, `{"expires_at":"+"}`,
		`{"privileges":[null]}`, `{"privileges":["\ud800"]}`, `{"role_ids":[{}]}`, `{"name":"\u2028"}`,
		`{"claims":null,"default_resource":null}`, `{"name":"x","claims":{"tier":1e400}}`,
		`{"name":"x","claims":{"\u0000":"\ud800"}}`, `{"claims":{"a":[[[[[[[[[[1]]]]]]]]]]}}`} {
		f.Add(uint8(0), body, `"1"`)
		f.Add(uint8(1), body, "")
		f.Add(uint8(3), body, "*")
		f.Add(uint8(6), body, "W/")
	}
	handler := s.App.Handler()
	f.Fuzz(func(t *testing.T, which uint8, body, match string) {
		call := calls[int(which)%len(calls)]
		req := httptest.NewRequest(call.method, s.URL+call.path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("If-Match", match)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		require.Less(t, w.Code, 500, "%s %s %q: %s", call.method, call.path, body, w.Body)
		if w.Code >= 400 {
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		}
	})
}
