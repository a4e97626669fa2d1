package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// TestAccountClaimsInJSON checks how /v1 takes and shows an account's own
// claims: a list of names from the catalogue, null as nothing, whole in the
// answer.
func TestAccountClaimsInJSON(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{svctest.ClaimsCatalog(t)}})
	token := s.OwnToken(s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret)
	call := func(method, path, body string, status int) map[string]any {
		t.Helper()
		req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		answer := s.Do(req)
		require.Equal(t, status, answer.Status, answer.Text)
		return answer.JSON
	}
	none := call("POST", "/v1/service-accounts", `{"name":"none","claims":null,"default_resource":""}`, http.StatusCreated)
	require.Equal(t, map[string]any{}, none["claims"])
	require.Equal(t, "", none["default_resource"])
	made := call("POST", "/v1/service-accounts",
		`{"name":"ci","claims":{"customer":"c-42"},"default_resource":"`+svctest.CloudAPI+`"}`, http.StatusCreated)
	at := "/v1/service-accounts/" + made["id"].(string)
	for _, c := range []struct {
		patch    string
		claims   map[string]any
		resource string
	}{
		{`{"description":"x"}`, map[string]any{"customer": "c-42"}, svctest.CloudAPI},
		{`{"claims":{"tier":{"name":"gold","of":[1,2.5,true,null]}}}`,
			map[string]any{"tier": map[string]any{"name": "gold", "of": []any{1.0, 2.5, true, nil}}},
			svctest.CloudAPI},
		{`{"default_resource":null}`,
			map[string]any{"tier": map[string]any{"name": "gold", "of": []any{1.0, 2.5, true, nil}}}, ""},
		{`{"claims":null,"default_resource":"` + svctest.BillingAPI + `"}`, map[string]any{},
			svctest.BillingAPI},
	} {
		changed := call("PATCH", at, c.patch, http.StatusOK)
		require.Equal(t, c.claims, changed["claims"], c.patch)
		require.Equal(t, c.resource, changed["default_resource"], c.patch)
		got := call("GET", at, "", http.StatusOK)
		require.Equal(t, c.claims, got["claims"])
		require.Equal(t, c.resource, got["default_resource"])
	}
	for patch, where := range map[string]string{
		`{"claims":{"seal":1}}`:                         "body.claims",
		`{"claims":[]}`:                                 "body.claims",
		`{"claims":"{}"}`:                               "body.claims",
		`{"default_resource":1}`:                        "body.default_resource",
		`{"default_resource":"https://no.example.com"}`: "body.default_resource",
		`{"default_resource":"` + s.Issuer + `"}`:       "body.default_resource",
	} {
		refused := call("PATCH", at, patch, http.StatusUnprocessableEntity)
		first := refused["errors"].([]any)[0].(map[string]any)
		require.Equal(t, where, first["location"], patch)
		require.NotEmpty(t, first["message"])
	}
}
