package token_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	cloudAPI   = "https://api.cloud.example"
	billingAPI = "https://billing.cloud.example"
	viewIt     = "clusters:view"
	editIt     = "clusters:edit"
)

// who is an actor of the organization with these privileges.
func who(s *svctest.Server, orgID string, privileges ...string) context.Context {
	return access.WithActor(context.Background(),
		access.Actor{ID: svcauth.NewID(svcauth.PrefixMember), Kind: svcauth.KindMember,
			Name: "x@example.com", OrgID: orgID,
			Operator: orgID == s.Tenant.Organization.ID, Privileges: privileges})
}

// failed returns the first link that fails. It requires all before that link to
// hold, and what comes after to be skipped.
func failed(t *testing.T, e svcauth.Explanation) string {
	t.Helper()
	first := ""
	for _, step := range e.Steps {
		require.NotEmpty(t, step.Detail, step.Name)
		switch {
		case first != "":
			require.Equal(t, svcauth.StepSkipped, step.Outcome, step.Name)
		case step.Outcome == svcauth.StepFailed:
			first = step.Name
		default:
			require.Equal(t, svcauth.StepOK, step.Outcome, step.Name)
		}
	}
	require.Equal(t, first == "", e.Allowed)
	return first
}

func TestExplainTokenAgreesWithIntrospection(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	rules, system := s.App.Access, s.System()
	introspector := s.Account("introspector", svcauth.TokensIntrospect)
	operator := who(s, s.Tenant.Organization.ID, svcauth.TokensIntrospect)
	names := 0
	account := func() (svcauth.ServiceAccount, string) {
		names++
		a := s.Account("account "+string(rune('a'+names)), viewIt, editIt)
		return a, s.Token(a.ID, a.ClientSecret, "")
	}
	cases := map[string]struct {
		make                func(t *testing.T) string
		privilege, audience string
		link, detail        string
	}{
		"good": {make: func(*testing.T) string { _, token := account(); return token }, privilege: viewIt,
			audience: cloudAPI},
		"good, its API": {make: func(*testing.T) string { _, token := account(); return token }, privilege: viewIt},
		"good at all":   {make: func(*testing.T) string { _, token := account(); return token }},
		"privilege": {make: func(*testing.T) string { _, token := account(); return token },
			privilege: "billing:view", link: "privileges", detail: "none of the account's roles"},
		"no such": {make: func(*testing.T) string { _, token := account(); return token },
			privilege: "moon:view", link: "privileges", detail: "no API of the catalogue"},
		"operator's only": {make: func(*testing.T) string { _, token := account(); return token },
			privilege: svcauth.KeysManage, link: "privileges"},
		"narrow": {make: func(*testing.T) string {
			a, _ := account()
			return s.Token(a.ID, a.ClientSecret, viewIt)
		}, privilege: editIt, link: "privileges", detail: "narrower scope"},
		"audience": {make: func(*testing.T) string { _, token := account(); return token }, privilege: viewIt,
			audience: billingAPI, link: "audience", detail: "another API"},
		"forged": {make: func(*testing.T) string {
			_, token := account()
			head, rest, _ := strings.Cut(token, ".")
			claims, signature, _ := strings.Cut(rest, ".")
			raw, _ := base64.RawURLEncoding.DecodeString(claims)
			return head + "." +
				base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), viewIt, "billing:view", 1))) +
				"." + signature
		}, link: "token", detail: "signature"},
		"garbage": {make: func(*testing.T) string { return "garbage" }, link: "token", detail: "malformed"},
		"revoked by its client": {make: func(t *testing.T) string {
			a, token := account()
			require.Equal(t, http.StatusOK,
				s.Post("/oauth2/revoke", a.ID, a.ClientSecret, url.Values{"token": {token}}).Status)
			return token
		}, privilege: viewIt, link: "revocation", detail: "this very token"},
		"all revoked": {make: func(t *testing.T) string {
			a, token := account()
			require.NoError(t, rules.RevokeTokens(system, a.ID))
			return token
		}, link: "revocation", detail: "every token"},
		"role unassigned": {make: func(t *testing.T) string {
			a, token := account()
			require.NoError(t, rules.UnassignServiceAccountRole(system, a.ID, a.Roles[0].ID, ""))
			return token
		}, privilege: viewIt, link: "roles", detail: "taken from the account"},
		"privilege off the role": {make: func(t *testing.T) string {
			a, token := account()
			_, err := rules.UpdateRole(system, a.Roles[0].ID, 0, svcauth.RolePatch{Privileges: &[]string{viewIt}})
			require.NoError(t, err)
			return token
		}, privilege: editIt, link: "privileges", detail: "taken off the role"},
		"role deleted": {make: func(t *testing.T) string {
			a, token := account()
			require.NoError(t, rules.DeleteRole(system, a.Roles[0].ID))
			return token
		}, link: "roles"},
		"secret deleted": {make: func(t *testing.T) string {
			a, token := account()
			require.NoError(t, rules.DeleteSecret(system, a.ID, a.Secrets[0].ID, true))
			return token
		}, link: "credential", detail: "deleted"},
		"disabled": {make: func(t *testing.T) string {
			a, token := account()
			yes := true
			_, err := rules.UpdateServiceAccount(system, a.ID, 0, svcauth.ServiceAccountPatch{Disabled: &yes})
			require.NoError(t, err)
			return token
		}, link: "account", detail: "disabled"},
		"removed": {make: func(t *testing.T) string {
			a, token := account()
			require.NoError(t, rules.DeleteServiceAccount(system, a.ID))
			return token
		}, link: "account", detail: "removed"},
		"organization deleted": {make: func(t *testing.T) string {
			tenant := s.NewTenant("gone")
			a := s.AccountIn(tenant, "a", viewIt)
			token := s.Token(a.ID, a.ClientSecret, "")
			require.NoError(t, rules.DeleteOrganization(who(s, s.Tenant.Organization.ID, svcauth.OrganizationsManage),
				tenant.Organization.ID))
			return token
		}, link: "account"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			token := c.make(t)
			e, err := s.App.Token.Explain(operator,
				svcauth.ExplainRequest{Token: token, Privilege: c.privilege, Audience: c.audience})
			require.NoError(t, err)
			require.Equal(t, c.link, failed(t, e), "%+v", e)
			for _, step := range e.Steps {
				if step.Outcome == svcauth.StepFailed {
					require.Contains(t, step.Detail, c.detail)
				}
			}
			answer := s.Post("/oauth2/introspect", introspector.ID, introspector.ClientSecret,
				url.Values{"token": {token}}).JSON
			scope, _ := answer["scope"].(string)
			truth := answer["active"] == true && (c.privilege == "" ||
				slices.Contains(strings.Fields(scope), c.privilege)) &&
				(c.audience == "" || answer["aud"] == c.audience)
			require.Equal(t, truth, e.Allowed, "the explanation and the decision must not differ")
		})
	}
}

func TestExplainClientAgreesWithTokenEndpoint(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	rules, system := s.App.Access, s.System()
	reader := who(s, s.Tenant.Organization.ID, svcauth.MembersRead)
	yes := true
	cases := map[string]struct {
		change              func(t *testing.T, a svcauth.ServiceAccount)
		privilege, audience string
		link                string
	}{
		"good":             {privilege: viewIt, audience: cloudAPI},
		"good at all":      {},
		"not granted":      {privilege: editIt, link: "privileges"},
		"unknown":          {privilege: "moon:view", link: "privileges"},
		"of another API":   {privilege: viewIt, audience: billingAPI, link: "audience"},
		"unknown audience": {privilege: viewIt, audience: "https://moon.example", link: "audience"},
		"no role": {privilege: viewIt, link: "roles", change: func(t *testing.T, a svcauth.ServiceAccount) {
			require.NoError(t, rules.UnassignServiceAccountRole(system, a.ID, a.Roles[0].ID, ""))
		}},
		"disabled": {link: "account", change: func(t *testing.T, a svcauth.ServiceAccount) {
			_, err := rules.UpdateServiceAccount(system, a.ID, 0, svcauth.ServiceAccountPatch{Disabled: &yes})
			require.NoError(t, err)
		}},
		"no secret": {link: "credential", change: func(t *testing.T, a svcauth.ServiceAccount) {
			require.NoError(t, rules.DeleteSecret(system, a.ID, a.Secrets[0].ID, false))
		}},
		"secret expired": {link: "credential", change: func(t *testing.T, a svcauth.ServiceAccount) {
			ends := func(at time.Time) {
				_, err := rules.UpdateSecret(system, a.ID, a.Secrets[0].ID, svcauth.SecretPatch{ExpiresAt: &at})
				require.NoError(t, err)
			}
			began := time.Now()
			ends(began.Add(time.Hour)) // which takes as long as the next one, so that this comes in time
			soon := time.Now().Add(100*time.Millisecond + 20*time.Since(began))
			ends(soon)
			time.Sleep(time.Until(soon) + 10*time.Millisecond)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := s.Account("account "+name, viewIt)
			if c.change != nil {
				c.change(t, a)
			}
			e, err := s.App.Token.Explain(reader,
				svcauth.ExplainRequest{ClientID: a.ID, Privilege: c.privilege, Audience: c.audience})
			require.NoError(t, err)
			require.Equal(t, c.link, failed(t, e), "%+v", e)
			form := url.Values{"grant_type": {"client_credentials"}}
			if c.privilege != "" {
				form.Set("scope", c.privilege)
			}
			if c.audience != "" {
				form.Set("resource", c.audience)
			}
			require.Equal(t, s.Post("/oauth2/token", a.ID, a.ClientSecret, form).Status == http.StatusOK, e.Allowed,
				"the explanation and the decision must not differ")
		})
	}
}

func TestExplainByJTI(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	a := s.Account("account", viewIt)
	s.Token(a.ID, a.ClientSecret, "")
	list, err := s.App.Access.Tokens(s.System(), a.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	jti := list.Items[0].JTI
	reader := who(s, s.Tenant.Organization.ID, svcauth.MembersRead)
	ask := func(r svcauth.ExplainRequest) string {
		t.Helper()
		r.JTI = jti
		e, err := s.App.Token.Explain(reader, r)
		require.NoError(t, err)
		return failed(t, e)
	}
	require.Empty(t, ask(svcauth.ExplainRequest{Privilege: viewIt}))
	require.Equal(t, "privileges", ask(svcauth.ExplainRequest{Privilege: editIt}))
	require.Equal(t, "audience", ask(svcauth.ExplainRequest{Audience: billingAPI}))
	require.NoError(t, s.App.Access.UnassignServiceAccountRole(s.System(), a.ID, a.Roles[0].ID, ""))
	require.Equal(t, "roles", ask(svcauth.ExplainRequest{Privilege: viewIt}))
}

// TestExplainByJTIWithoutRedis: the records are in Redis alone. Whoever asks
// must not be sent to look at the database.
func TestExplainByJTIWithoutRedis(t *testing.T) {
	redis := redistest.Start(t)
	s := svctest.New(t, svctest.Options{RedisURL: redis.URL()})
	redis.Kill()
	_, err := s.App.Token.Explain(who(s, s.Tenant.Organization.ID, svcauth.MembersRead),
		svcauth.ExplainRequest{JTI: "any", Privilege: viewIt})
	var problem *svcauth.Problem
	require.ErrorAs(t, err, &problem)
	require.Equal(t, svcauth.CodeUnavailable, problem.Code)
	require.Contains(t, problem.Detail, away.Sentence(away.Records, ""))
	require.NotContains(t, problem.Detail, "atabase")
}

func TestExplainTellsOnlyWhoMayKnow(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	tenant := s.NewTenant("tenant")
	own := s.AccountIn(tenant, "own", viewIt)
	foreign := s.Account("foreign", viewIt)
	foreignToken := s.Token(foreign.ID, foreign.ClientSecret, "")
	list, err := s.App.Access.Tokens(s.System(), foreign.ID, svcauth.ListOptions{})
	require.NoError(t, err)
	ask := func(ctx context.Context, r svcauth.ExplainRequest) string {
		_, err := s.App.Token.Explain(ctx, r)
		if err == nil {
			return ""
		}
		var p *svcauth.Problem
		require.ErrorAs(t, err, &p)
		require.NotContains(t, err.Error(), foreignToken)
		return p.Code
	}
	operator, org := s.Tenant.Organization.ID, tenant.Organization.ID
	for _, r := range []svcauth.ExplainRequest{{Token: foreignToken}, {JTI: list.Items[0].JTI},
		{ClientID: foreign.ID}} {
		require.Equal(t, svcauth.CodeUnauthenticated, ask(context.Background(), r))
		require.Equal(t, svcauth.CodeMissingPrivileges, ask(who(s, operator, svcauth.AuditRead), r))
		require.Equal(t, svcauth.CodeNotFound, ask(who(s, org, svcauth.MembersRead, svcauth.TokensIntrospect), r),
			"another organization's")
		require.Empty(t, ask(who(s, operator, svcauth.MembersRead), r))
	}
	r := svcauth.ExplainRequest{ClientID: own.ID}
	require.Empty(t, ask(who(s, org, svcauth.TokensIntrospect), r))
	require.Equal(t, svcauth.CodeNotFound, ask(who(s, operator, svcauth.MembersRead), r),
		"members:read ends at one's own organization")
	require.Empty(t, ask(who(s, operator, svcauth.TokensIntrospect), r), "the operator introspects everybody's")

	for _, bad := range []svcauth.ExplainRequest{{}, {Token: "a", JTI: "b"}, {ClientID: own.ID, Privilege: "a b"},
		{JTI: strings.Repeat("x", 600)}} {
		require.Equal(t, svcauth.CodeInvalid, ask(who(s, operator, svcauth.TokensIntrospect), bad))
	}
}

// TestExplainSaysTheProfile asks about an account with roles of APIs that want
// different tokens: which form each gets, and why a request that names none
// gets nothing.
func TestExplainSaysTheProfile(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{svctest.Catalog(t, map[string]string{
		cloudAPI: "profile: {preset: spring, scope_claim: scp}",
	})}})
	account := s.Account("both", viewIt, "billing:view")
	ctx := who(s, s.Tenant.Organization.ID, svcauth.MembersRead)
	audience := func(r svcauth.ExplainRequest) svcauth.ExplainStep {
		e, err := s.App.Token.Explain(ctx, r)
		require.NoError(t, err)
		i := slices.IndexFunc(e.Steps, func(s svcauth.ExplainStep) bool { return s.Name == "audience" })
		require.GreaterOrEqual(t, i, 0)
		return e.Steps[i]
	}
	const form = "in the form of its API's profile: preset spring, RS256, typ JWT, privileges in scp"
	step := audience(svcauth.ExplainRequest{ClientID: account.ClientID})
	require.Equal(t, svcauth.StepFailed, step.Outcome)
	require.Contains(t, step.Detail, "resource="+cloudAPI)
	require.Contains(t, step.Detail, "default_resource")
	for _, r := range []svcauth.ExplainRequest{
		{ClientID: account.ClientID, Privilege: viewIt},
		{ClientID: account.ClientID, Audience: cloudAPI},
		{Token: s.Token(account.ClientID, account.ClientSecret, viewIt)},
	} {
		step = audience(r)
		require.Equal(t, svcauth.StepOK, step.Outcome, step.Detail)
		require.Contains(t, step.Detail, form)
	}
	step = audience(svcauth.ExplainRequest{ClientID: account.ClientID, Privilege: "billing:view"})
	require.Equal(t, svcauth.StepOK, step.Outcome, step.Detail)
	require.NotContains(t, step.Detail, "profile")
}
