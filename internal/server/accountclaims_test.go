package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
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

// TestAccountClaimsInTokens sets an account's own claims and default resource
// over /v1, and looks at its tokens: a claim is in those for an API that lists
// it and not in those for another; a change is in the next one, at the other
// node too, though token.reuse is on; what the catalogue no longer lists is
// gone. Explain says the same.
func TestAccountClaimsInTokens(t *testing.T) {
	a := svctest.New(t, svctest.Options{Postgres: true, Redis: true, Environ: []string{
		svctest.ClaimsCatalog(t), "SVCAUTH_TOKEN_REUSE=10m",
	}})
	b := a.Node()
	account := a.Account("ci", "clusters:view", "billing:view")
	atA, atB := caller{t, a, account}, caller{t, b, account}
	set := func(s *svctest.Server, claims map[string]any, resource string) {
		t.Helper()
		_, err := s.Admin().UpdateServiceAccount(t.Context(), account.ID, 0,
			svcauth.ServiceAccountPatch{Claims: &claims, DefaultResource: &resource}, 0)
		require.NoError(t, err)
	}
	own := func(token string) map[string]any {
		_, claims := claimsOf(t, a, token)
		got := map[string]any{"aud": claims["aud"]}
		for _, name := range []string{"customer", "tier"} {
			if value, ok := claims[name]; ok {
				got[name] = value
			}
		}
		return got
	}
	explained := func(audience string) string {
		e, err := a.Admin().Explain(t.Context(), svcauth.ExplainRequest{ClientID: account.ClientID, Audience: audience})
		require.NoError(t, err)
		require.True(t, e.Allowed, e.Steps)
		return fmt.Sprint(e.Steps)
	}
	const here = "192.0.2.1"
	toCloud := []string{"resource", svctest.CloudAPI}
	before := atA.token(here, toCloud...)
	require.Equal(t, before, atA.token(here, toCloud...), "reused")
	require.Equal(t, map[string]any{"aud": svctest.CloudAPI}, own(before))
	require.NotContains(t, explained(""), "own claims")

	tier := map[string]any{"level": json.Number("3"), "of": []any{"a", true, nil}}
	set(a, map[string]any{"customer": "c-42", "tier": tier}, "")
	first := atA.token(here, toCloud...)
	require.Equal(t, map[string]any{"aud": svctest.CloudAPI, "customer": "c-42", "tier": tier}, own(first))
	require.Equal(t, first, atA.token(here, toCloud...), "reused")
	require.Equal(t, map[string]any{"aud": svctest.BillingAPI, "customer": "c-42"},
		own(atA.token(here, "resource", svctest.BillingAPI)))
	require.Equal(t, map[string]any{"aud": []any{svctest.BillingAPI, svctest.CloudAPI}, "customer": "c-42"},
		own(atA.token(here)), "of several APIs each must list it")
	require.Equal(t, map[string]any{"aud": svctest.CloudAPI, "customer": "c-42", "tier": tier},
		own(atA.token(here, "scope", "clusters:view")))
	require.Equal(t, map[string]any{"aud": a.Issuer}, own(atA.token(here, "resource", a.Issuer)))
	require.Contains(t, explained(svctest.CloudAPI), "of the account's own claims it would have customer, tier")
	require.Contains(t, explained(svctest.BillingAPI),
		"of the account's own claims it would have customer; not tier, which not every API of the token lists")

	// At the other node: the next request there has it; here it follows.
	require.Eventually(t, func() bool { return own(atB.token(here, toCloud...))["customer"] == "c-42" }, patience,
		10*time.Millisecond)
	set(b, map[string]any{"customer": "c-43"}, svctest.BillingAPI)
	changed := map[string]any{"aud": svctest.BillingAPI, "customer": "c-43"}
	require.Equal(t, changed, own(atB.token(here)))
	require.Equal(t, map[string]any{"aud": svctest.CloudAPI, "customer": "c-43"}, own(atB.token(here, toCloud...)))
	require.Eventually(t, func() bool { return own(atA.token(here))["customer"] == "c-43" }, patience,
		10*time.Millisecond)
	for range 20 {
		require.Equal(t, changed, own(atA.token(here)), "no old one comes back")
		require.Equal(t, "c-43", own(atA.token(here, toCloud...))["customer"])
	}
	require.Contains(t, explained(""), "whose tokens are for "+svctest.BillingAPI+" by default (default_resource)")

	catalogue, err := config.LoadCatalog("", a.Issuer)
	require.NoError(t, err)
	_, err = a.App.Access.ApplyCatalog(t.Context(), catalogue.APIs, catalogue.Privileges, false)
	require.NoError(t, err)
	delete(changed, "customer")
	require.Equal(t, changed, own(atA.token(here)), "no API lists it any more")
	require.Eventually(t, func() bool { return own(atB.token(here))["customer"] == nil }, patience,
		10*time.Millisecond)
	require.Contains(t, explained(""),
		"it would have (none); not customer, which no API of the catalogue lists (account_claims)")
}
