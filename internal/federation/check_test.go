package federation

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestPoliciesThatAreNone has each policy that is refused when it is made, and
// the field that says why.
func TestPoliciesThatAreNone(t *testing.T) {
	keys := string(set(t, newSigner(t, "k1")))
	private := strings.Replace(keys, `"kty"`, `"d":"AAAA","kty"`, 1)
	twice := strings.Replace(keys, "]", ","+strings.TrimSuffix(strings.TrimPrefix(keys, `{"keys":[`), "]}")+"]", 1)
	type asked = svcauth.NewFederatedCredential
	type change = func(*asked)
	claim := func(name, value string) change {
		return func(n *asked) { n.Claims = map[string]string{name: value} }
	}
	issuer := func(text string) change { return func(n *asked) { n.Issuer = text } }
	for name, c := range map[string]struct {
		field string
		do    change
	}{
		"everybody":        {"subject", func(n *asked) { n.Subject = "" }},
		"asterisk":         {"subject", func(n *asked) { n.Subject = "repo:acme/*" }},
		"invisible":        {"subject", func(n *asked) { n.Subject = "repo:\u200bacme" }},
		"space":            {"subject", func(n *asked) { n.Subject = "repo " }},
		"no issuer":        {"issuer", issuer("")},
		"ours":             {"issuer", issuer(own)},
		"ours in capitals": {"issuer", issuer("https://AUTH.example.com/")},
		"http":             {"issuer", issuer("http://issuer.example")},
		"query":            {"issuer", issuer("https://issuer.example/?a=b")},
		"fragment":         {"issuer", issuer("https://issuer.example/#a")},
		"user":             {"issuer", issuer("https://me:word@issuer.example")},
		"port":             {"issuer", issuer("https://issuer.example:99999")},
		"dots":             {"issuer", issuer("https://issuer.example/a/../b")},
		"trust domain":     {"issuer", issuer("spiffe://acme.example")},
		"registered claim": {"claims", claim("aud", "x")},
		"empty claim":      {"claims", claim("environment", "")},
		"nameless claim":   {"claims", claim("", "x")},
		"glob in a claim":  {"claims", claim("ref", "refs/heads/*")},
		"deep pointer":     {"claims", claim("/a/b/c/d/e/f/g/h/i", "x")},
		"both":             {"jwks", func(n *asked) { n.JWKSURI = "https://issuer.example/k" }},
		"private key":      {"jwks", func(n *asked) { n.JWKS = json.RawMessage(private) }},
		"kid twice":        {"jwks", func(n *asked) { n.JWKS = json.RawMessage(twice) }},
		"no key":           {"jwks", func(n *asked) { n.JWKS = json.RawMessage(`{"keys":[]}`) }},
		"symmetric": {"jwks", func(n *asked) {
			n.JWKS = json.RawMessage(`{"keys":[{"kty":"oct","k":"AAAA"}]}`)
		}},
		"address of keys": {"jwks_uri", func(n *asked) {
			n.JWKS, n.JWKSURI = nil, "http://issuer.example/k"
		}},
		"port of keys": {"jwks_uri", func(n *asked) {
			n.JWKS, n.JWKSURI = nil, "https://issuer.example:65536/k"
		}},
		"Azure without slash": {"issuer", func(n *asked) {
			n.Preset, n.Issuer = "azure", "https://sts.windows.net/t"
		}},
		"Azure, version 2, by URI": {"audience", func(n *asked) {
			n.Preset, n.Issuer, n.Audience = "azure", "https://login.microsoftonline.com/t/v2.0", "api://svcauth"
		}},
		"HS256":     {"algorithms", func(n *asked) { n.Algorithms = []string{"HS256"} }},
		"none":      {"algorithms", func(n *asked) { n.Algorithms = []string{"none"} }},
		"age":       {"max_age_seconds", func(n *asked) { n.MaxAge = 86401 }},
		"life":      {"token_ttl_seconds", func(n *asked) { n.TTLSeconds = 3601 }},
		"no rights": {"privileges", func(n *asked) { n.Privileges = []string{} }},
		"preset":    {"preset", func(n *asked) { n.Preset = "jenkins" }},
	} {
		n := svcauth.NewFederatedCredential{
			Name: "x", Issuer: "https://issuer.example", Subject: "repo:acme/app", JWKS: json.RawMessage(keys),
		}
		_, err := New(n, own)
		require.NoError(t, err)
		c.do(&n)
		_, err = New(n, own)
		var problem *svcauth.Problem
		require.True(t, errors.As(err, &problem), name)
		require.Equal(t, "body."+c.field, problem.Errors[0].Location, "%s: %s", name, problem.Detail)
	}
}

// TestLint has for each kind of issuer what is warned of, and a policy that has
// nothing of it.
func TestLint(t *testing.T) {
	type named = map[string]string
	for name, c := range map[string]struct {
		preset, issuer, subject string
		claims                  named
		codes                   string
	}{
		"old subject of GitHub": {
			"github", "", "repo:acme/app:ref:refs/heads/main", nil,
			"no_immutable_id no_owner_id no_environment pull_request",
		},
		"new subject of GitHub": {"github", "", "repo:acme@77/app@1234:environment:production", nil, ""},
		"GitHub without preset": {
			"", githubIssuer, "repo:acme/app:environment:production", nil, "no_immutable_id no_owner_id",
		},
		"GitHub, pull request": {
			"github", "", "repo:acme@77/app@1234:pull_request", named{"environment": "e"}, "pull_request",
		},
		"GitHub, event of strangers": {
			"github", "", "", named{"repository_id": "1", "environment": "e", "event_name": "issue_comment"},
			"pull_request",
		},
		"GitHub, owner only": {
			"github", "", "", named{"repository_owner_id": "1", "environment": "e"}, "no_immutable_id owner_only",
		},
		"GitHub, all of " +
			"it": {"github", "", "", named{"repository_id": "1", "environment": "e", "event_name": "push"}, ""},
		"GitLab": {
			"gitlab", "", "project_path:a/b:ref_type:branch:ref:main", nil, "no_immutable_id no_owner_id " +
				"unprotected_ref",
		},
		"GitLab, all of it": {"gitlab", "", "", named{"project_id": "1", "ref_protected": "true"}, ""},
		"HCP Terraform": {
			"hcp-terraform", "", "organization:o:project:p:workspace:w:run_phase:plan", nil,
			"no_immutable_id no_owner_id pull_request",
		},
		"HCP Terraform, all of it": {
			"hcp-terraform", "", "", named{"terraform_workspace_id": "w", "terraform_run_phase": "apply"}, "",
		},
		"Kubernetes": {"kubernetes", "https://k.example", "system:serviceaccount:a:b", nil, "no_immutable_id"},
		"Kubernetes, all of it": {
			"kubernetes", "https://k.example", "", named{"/kubernetes.io/serviceaccount/uid": "u"}, "",
		},
		"Google, a name": {"google", "", "me@example.com", nil, "no_immutable_id"},
		"Google":         {"google", "", "1234", nil, ""},
		"anybody":        {"", "https://i.example", "app", nil, ""},
	} {
		p, err := New(svcauth.NewFederatedCredential{
			Name: "x", Preset: c.preset, Issuer: c.issuer, Subject: c.subject, Claims: c.claims,
		}, own)
		require.NoError(t, err, name)
		var codes []string
		for _, w := range p.Noun(own).Warnings {
			codes = append(codes, w.Code)
		}
		require.Equal(t, c.codes, strings.Join(codes, " "), name)
	}
	p, err := New(svcauth.NewFederatedCredential{
		Name: "x", Issuer: "https://i.example", Subject: "app", Audience: "sts.amazonaws.com",
	}, own)
	require.NoError(t, err)
	require.Equal(t, WarnAudience, p.Lint(own)[0].Code)
}

// TestPatch: what narrows needs no right to hand over, everything else does.
func TestPatch(t *testing.T) {
	p := githubPolicy(t, newSigner(t, "k1"))
	p.Privileges = []string{"a:a", "b:b"}
	text := func(s string) *string { return &s }
	on, less, more := true, 60, 7200
	for name, c := range map[string]struct {
		patch svcauth.FederatedCredentialPatch
		wider bool
	}{
		"nothing":         {svcauth.FederatedCredentialPatch{}, false},
		"name":            {svcauth.FederatedCredentialPatch{Name: text("other")}, false},
		"one time":        {svcauth.FederatedCredentialPatch{OneTime: &on}, false},
		"younger":         {svcauth.FederatedCredentialPatch{MaxAge: &less}, false},
		"older":           {svcauth.FederatedCredentialPatch{MaxAge: &more}, true},
		"fewer rights":    {svcauth.FederatedCredentialPatch{Privileges: &[]string{"a:a"}}, false},
		"more rights":     {svcauth.FederatedCredentialPatch{Privileges: &[]string{"a:a", "c:c"}}, true},
		"all rights":      {svcauth.FederatedCredentialPatch{ClearPrivileges: true}, true},
		"another subject": {svcauth.FederatedCredentialPatch{Subject: text("x")}, true},
		"fetched keys":    {svcauth.FederatedCredentialPatch{ClearJWKS: true}, true},
		"fewer claims":    {svcauth.FederatedCredentialPatch{Claims: &map[string]string{"repository_id": "1"}}, true},
	} {
		next, wider, err := p.Patched(c.patch, own)
		require.NoError(t, err, name)
		require.Equal(t, c.wider, wider, name)
		require.Equal(t, "1234", p.Claims["repository_id"], "the old one is as it was")
		require.NotNil(t, next)
	}
	_, _, err := p.Patched(svcauth.FederatedCredentialPatch{Issuer: text(own)}, own)
	require.Error(t, err)
}

// FuzzPolicy: no token panics, what is judged right has the policy's issuer,
// subject and audience, and a policy reads back as it was written.
func FuzzPolicy(f *testing.F) {
	f.Add(`{"iss":"https://i.example","sub":"s","aud":"https://auth.example.com","exp":1900000300}`, "s", "/a/b", "v")
	f.Add(`{"a":{"b":"v"},"aud":["x"],"exp":1e300}`, "", "repository_id", "1")
	f.Add(`{"iss":1,"iss":2}`, "spiffe://td/x", "/", "~1")
	f.Fuzz(func(t *testing.T, raw, subject, claim, value string) {
		n := svcauth.NewFederatedCredential{Name: "x", Issuer: "https://i.example", Subject: subject}
		if claim != "" {
			n.Claims = map[string]string{claim: value}
		}
		p, err := New(n, own)
		if err != nil {
			return
		}
		again, err := Parse(p.Material())
		require.NoError(t, err)
		require.Equal(t, p.Material(), again.Material())
		token, err := Read(nil, []byte(raw))
		if err != nil || Judge(again, token, Context{Own: own, OrgID: orgID, Now: now}) != nil {
			return
		}
		require.Equal(t, "https://i.example", token.Issuer)
		require.True(t, subject == "" || token.Subject == subject)
		require.Len(t, token.Audience, 1)
		require.True(t, token.ExpiresAt.After(now))
	})
}
