package federation

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/remotekeys"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	own   = "https://auth.example.com"
	orgID = "org_01k9zzzzzzzzzzzzzzzzzzzzzz"
)

var now = time.Unix(1_900_000_000, 0)

type claims = map[string]any

// signer is an issuer's key.
type signer struct {
	key *ecdsa.PrivateKey
	kid string
}

func newSigner(t *testing.T, kid string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return signer{key, kid}
}

// set is the key set of some signers.
func set(t *testing.T, of ...signer) json.RawMessage {
	t.Helper()
	var doc struct {
		Keys []jwk.Key `json:"keys"`
	}
	for _, s := range of {
		key, err := jwk.New(&s.key.PublicKey)
		require.NoError(t, err)
		key.Kid = s.kid
		doc.Keys = append(doc.Keys, key)
	}
	text, err := json.Marshal(doc)
	require.NoError(t, err)
	return text
}

func (s signer) token(t *testing.T, header, payload claims) string {
	t.Helper()
	whole := claims{"alg": "ES256"}
	if s.kid != "" {
		whole["kid"] = s.kid
	}
	maps.Copy(whole, header)
	part := func(v any) string {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(whole) + "." + part(payload)
	sum := sha256.Sum256([]byte(signed))
	r, z, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	require.NoError(t, err)
	var raw [64]byte
	r.FillBytes(raw[:32])
	z.FillBytes(raw[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(raw[:])
}

// github is what GitHub says of a job.
func github(change claims) claims {
	all := claims{
		"iss": githubIssuer, "aud": own, "sub": "repo:acme/app:environment:production",
		"repository": "acme/app", "repository_id": "1234", "repository_owner_id": "77", "environment": "production",
		"event_name": "push", "jti": "one", "iat": now.Unix(), "nbf": now.Unix() - 600, "exp": now.Unix() + 300,
	}
	for name, value := range change {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

func githubPolicy(t *testing.T, s signer) *Policy {
	t.Helper()
	p, err := New(svcauth.NewFederatedCredential{
		Name: "ci", Preset: svcauth.PresetGitHub, Subject: "repo:acme/app:environment:production", JWKS: set(t, s),
		Claims:     map[string]string{"repository_id": "1234", "environment": "production"},
		Algorithms: []string{"RS256", "ES256"},
	}, own)
	require.NoError(t, err)
	return p
}

// check runs all rules as those who authenticate do.
func check(t *testing.T, p *Policy, text string) string {
	t.Helper()
	token, err := ReadAssertion("the assertion", text)
	if err != nil {
		return "unreadable"
	}
	c := Context{Own: own, OrgID: orgID, Now: now}
	failure := Judge(p, token, c)
	if failure == nil {
		v := Verifier{Keys: remotekeys.New(remotekeys.Config{})}
		failure = v.Verify(t.Context(), p, token, c, false, NewWork(nil))
	}
	if failure == nil {
		return ""
	}
	require.NotEmpty(t, failure.Expected, failure.Rule)
	require.NotEmpty(t, failure.Got, failure.Rule)
	return failure.Rule
}

// TestRules has each way in which a token may not fit, one at a time.
func TestRules(t *testing.T) {
	s, other := newSigner(t, "k1"), newSigner(t, "k1")
	p := githubPolicy(t, s)
	require.Empty(t, check(t, p, s.token(t, nil, github(nil))))
	require.Empty(t, check(t, p, s.token(t, nil, github(nil))), "the same token works again")
	for name, c := range map[string]struct {
		rule   string
		change claims
	}{
		"issuer with a slash":          {RuleIssuer, claims{"iss": githubIssuer + "/"}},
		"issuer in other case":         {RuleIssuer, claims{"iss": strings.ToUpper(githubIssuer)}},
		"issuer with dots":             {RuleIssuer, claims{"iss": githubIssuer + "/../x"}},
		"no issuer":                    {RuleIssuer, claims{"iss": nil}},
		"branch instead":               {RuleSubject, claims{"sub": "repo:acme/app:ref:refs/heads/main"}},
		"subject that begins so":       {RuleSubject, claims{"sub": "repo:acme/app:environment:production2"}},
		"shorter subject":              {RuleSubject, claims{"sub": "repo:acme/app"}},
		"owner with a like name":       {RuleSubject, claims{"sub": "repo:acme-evil/app:environment:production"}},
		"no subject":                   {RuleSubject, claims{"sub": nil}},
		"name with another id":         {RuleClaims, claims{"repository_id": "9999"}},
		"id as a number":               {RuleClaims, claims{"repository_id": 1234}},
		"id in an array":               {RuleClaims, claims{"repository_id": []string{"1234"}}},
		"no environment":               {RuleClaims, claims{"environment": nil}},
		"environment null":             {RuleClaims, claims{"environment": json.RawMessage("null")}},
		"audience of the issuer":       {RuleAudience, claims{"aud": "https://github.com/acme"}},
		"our token URL":                {RuleAudience, claims{"aud": own + "/oauth2/token"}},
		"ours and another":             {RuleAudience, claims{"aud": []string{own, "https://cloud.example"}}},
		"ours twice":                   {RuleAudience, claims{"aud": []string{own, own}}},
		"another organization":         {RuleAudience, claims{"aud": own + "/o/org_01k9zzzzzzzzzzzzzzzzzzzzzy"}},
		"no audience":                  {RuleAudience, claims{"aud": nil}},
		"empty audience":               {RuleAudience, claims{"aud": []string{}}},
		"no exp (old service account)": {RuleExpiry, claims{"exp": nil}},
		"expired":                      {RuleExpiry, claims{"exp": now.Unix()}},
		"nbf ahead":                    {RuleNotBefore, claims{"nbf": now.Unix() + 60}},
		"iat ahead":                    {RuleNotBefore, claims{"iat": now.Unix() + 60}},
		"too old":                      {RuleAge, claims{"iat": now.Unix() - 3700}},
		"without iat, too long":        {RuleAge, claims{"iat": nil, "exp": now.Unix() + 3601}},
	} {
		require.Equal(t, c.rule, check(t, p, s.token(t, nil, github(c.change))), name)
	}
	for name, change := range map[string]claims{
		"array of one": {"aud": []string{own}}, "the organization": {"aud": OrganizationAudience(own, orgID)},
		"iat a little ahead": {"iat": now.Unix() + 20}, "without iat": {"iat": nil}, "no jti": {"jti": nil},
	} {
		require.Empty(t, check(t, p, s.token(t, nil, github(change))), name)
	}
	for name, c := range map[string]struct {
		rule   string
		header claims
	}{
		"none":            {RuleAlgorithm, claims{"alg": "none"}},
		"HS256":           {RuleAlgorithm, claims{"alg": "HS256"}},
		"not allowed":     {RuleAlgorithm, claims{"alg": "ES384"}},
		"of another key":  {RuleKey, claims{"alg": "RS256"}},
		"unknown kid":     {RuleKey, claims{"kid": "k2"}},
		"access token":    {RuleType, claims{"typ": "at+jwt"}},
		"logout token":    {RuleType, claims{"typ": "logout+jwt"}},
		"DPoP proof":      {RuleType, claims{"typ": "dpop+jwt"}},
		"critical header": {"unreadable", claims{"crit": []string{"exp"}}},
		"b64":             {"unreadable", claims{"b64": false}},
	} {
		require.Equal(t, c.rule, check(t, p, s.token(t, c.header, github(nil))), name)
	}
	public, err := jwk.New(&other.key.PublicKey)
	require.NoError(t, err)
	for name, header := range map[string]claims{
		"another's signature": nil, "key in the header": {"jwk": public}, "address of a key in the header": {
			"jku": "https://evil.example/keys", "x5u": "https://evil.example/cert", "x5c": []string{"MII"},
		},
	} {
		require.Equal(t, RuleSignature, check(t, p, other.token(t, header, github(nil))), name)
	}
	for _, typ := range []string{"JWT", "jwt", "JOSE", "client-authentication+jwt"} {
		require.Empty(t, check(t, p, s.token(t, claims{"typ": typ}, github(nil))), typ)
	}
	text := s.token(t, nil, github(nil))
	for _, broken := range []string{"", "a.b", text + ".x", text + "=", strings.Replace(text, ".", "..", 1)} {
		require.Equal(t, "unreadable", check(t, p, broken))
	}
}

// TestOneTime: the token must have what it is remembered by.
func TestOneTime(t *testing.T) {
	s := newSigner(t, "k1")
	p := githubPolicy(t, s)
	p.OneTime = true
	require.Empty(t, check(t, p, s.token(t, nil, github(nil))))
	require.Equal(t, RuleOneTime, check(t, p, s.token(t, nil, github(claims{"jti": nil}))))
	require.Equal(t, RuleOneTime, check(t, p, s.token(t, nil, github(claims{"jti": strings.Repeat("j", 2000)}))))
}

// TestSignatureWorkIsBounded: of keys without ids, four are tried.
func TestSignatureWorkIsBounded(t *testing.T) {
	var many []signer
	for range 6 {
		many = append(many, newSigner(t, ""))
	}
	p := githubPolicy(t, many[0])
	p.JWKS = set(t, many...)
	p.prepared()
	require.Empty(t, check(t, p, many[3].token(t, nil, github(nil))))
	require.Equal(t, RuleSignature, check(t, p, many[4].token(t, nil, github(nil))))
}

// TestGenuineShapes has what each issuer writes, and the policy for it.
func TestGenuineShapes(t *testing.T) {
	s := newSigner(t, "k1")
	nameless := signer{s.key, ""}
	life := func(change claims) claims {
		all := claims{"aud": own, "iat": now.Unix(), "exp": now.Unix() + 600}
		maps.Copy(all, change)
		return all
	}
	aks, aws := "https://westeurope.oic.prod-aks.azure.com/t/g/", "https://abc.tokens.sts.global.api.aws"
	const entra, application = "https://login.microsoftonline.com/t/v2.0", "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
	kubernetes := "https://kubernetes.default.svc.cluster.local"
	for name, c := range map[string]struct {
		policy svcauth.NewFederatedCredential
		by     signer
		token  claims
	}{
		"GitHub with ids": {svcauth.NewFederatedCredential{
			Preset: "github", Subject: "repo:acme@77/app@1234:ref:refs/heads/main", Algorithms: []string{"ES256"},
		}, s, github(claims{"sub": "repo:acme@77/app@1234:ref:refs/heads/main"})},
		"GitLab": {svcauth.NewFederatedCredential{
			Preset: "gitlab", Algorithms: []string{"ES256"},
			Claims: map[string]string{"project_id": "42", "ref_protected": "true"},
		}, s, life(claims{"iss": gitlabIssuer, "sub": "project_path:a/b:ref_type:branch:ref:main", "project_id": "42",
			"ref_protected": "true", "ci_config_ref_uri": nil})},
		"HCP Terraform, a subject with a space, after hours": {svcauth.NewFederatedCredential{
			Preset: "hcp-terraform", Algorithms: []string{"ES256"},
			Subject: "organization:acme:project:Default Project:workspace:prod:run_phase:apply",
		}, s, life(claims{"iss": hcpIssuer, "iat": now.Unix() - 4*3600, "terraform_workspace_id": "ws-1",
			"sub": "organization:acme:project:Default Project:workspace:prod:run_phase:apply"})},
		"Kubernetes": {svcauth.NewFederatedCredential{
			Preset: "kubernetes", Issuer: kubernetes, Subject: "system:serviceaccount:ns:app",
			Claims: map[string]string{"/kubernetes.io/serviceaccount/uid": "u-1"},
		}, s, life(claims{"iss": kubernetes, "aud": []string{own}, "sub": "system:serviceaccount:ns:app",
			"kubernetes.io": claims{"namespace": "ns", "serviceaccount": claims{"name": "app", "uid": "u-1"}}})},
		"AKS, with a slash at the end": {svcauth.NewFederatedCredential{
			Preset: "kubernetes", Issuer: aks, Subject: "system:serviceaccount:a:b",
		}, s, life(claims{"iss": aks, "sub": "system:serviceaccount:a:b"})},
		"SPIFFE without iss, kid and jti": {svcauth.NewFederatedCredential{
			Preset: "spiffe", Issuer: "spiffe://acme.example", Subject: "spiffe://acme.example/ns/app",
		}, nameless, claims{"aud": []string{own}, "sub": "spiffe://acme.example/ns/app", "exp": now.Unix() + 300}},
		"SPIFFE, a bundle": {svcauth.NewFederatedCredential{
			Preset: "spiffe", Issuer: "spiffe://acme.example", Subject: "spiffe://acme.example/ns/app",
		}, signer{s.key, "bundle"}, claims{"aud": own, "sub": "spiffe://acme.example/ns/app", "exp": now.Unix() + 300}},
		"AWS": {svcauth.NewFederatedCredential{
			Preset: "aws", Issuer: aws, Subject: "arn:aws:iam::123456789012:role/app",
			Algorithms: []string{"ES256"},
		}, s, life(claims{"iss": aws, "sub": "arn:aws:iam::123456789012:role/app"})},
		"Azure": {svcauth.NewFederatedCredential{
			Preset: "azure", Issuer: entra, Claims: map[string]string{"oid": "o-1"},
			Audience: application, Algorithms: []string{"ES256"},
		}, s, life(claims{"iss": entra, "sub": "o-1", "oid": "o-1",
			"aud": application, "exp": now.Unix() + 80000})},
		"Azure, version 1": {svcauth.NewFederatedCredential{
			Preset: "azure", Issuer: "https://sts.windows.net/t/", Claims: map[string]string{"oid": "o-1"},
			Audience: "api://svcauth", Algorithms: []string{"ES256"},
		}, s, life(claims{"iss": "https://sts.windows.net/t/", "sub": "o-1", "oid": "o-1",
			"aud": "api://svcauth", "exp": now.Unix() + 80000})},
		"Google": {svcauth.NewFederatedCredential{
			Preset: "google", Subject: "1122334455", Algorithms: []string{"ES256"},
		}, s, life(claims{"iss": googleIssuer, "sub": "1122334455"})},
	} {
		c.policy.Name, c.policy.JWKS = "x", set(t, c.by)
		if c.by.kid == "bundle" {
			bundle := strings.Replace(string(c.policy.JWKS), `"use":"sig"`, `"use":"jwt-svid"`, 1)
			c.policy.JWKS = json.RawMessage(strings.Replace(bundle, "[", `[{"use":"x509-svid","kty":"EC"},`, 1))
		}
		p, err := New(c.policy, own)
		require.NoError(t, err, name)
		again, err := Parse(p.Material())
		require.NoError(t, err)
		require.Empty(t, check(t, again, c.by.token(t, nil, c.token)), name)
	}
}

// TestTrustDomainsAreWholeNames: no prefix of one is another.
func TestTrustDomainsAreWholeNames(t *testing.T) {
	s := newSigner(t, "")
	p, err := New(svcauth.NewFederatedCredential{
		Name: "x", Preset: "spiffe", Issuer: "spiffe://td", Subject: "spiffe://td/app", JWKS: set(t, s),
	}, own)
	require.NoError(t, err)
	until := now.Unix() + 9
	for _, sub := range []string{"spiffe://td-evil/app", "spiffe://td", "spiffe://td/", "https://td/app",
		"spiffe:///app"} {
		require.Equal(t, RuleIssuer, check(t, p, s.token(t, nil, claims{"sub": sub, "aud": own, "exp": until})))
	}
	require.Equal(t, RuleSubject, check(t, p, s.token(t, nil, claims{
		"sub": "spiffe://td/app/other", "aud": own, "exp": now.Unix() + 9,
	})))
}
