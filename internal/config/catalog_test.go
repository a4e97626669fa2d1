package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const issuer = "https://auth.example.com"

func TestBuiltInCatalog(t *testing.T) {
	c, err := LoadCatalog("", issuer)
	require.NoError(t, err)
	require.Len(t, c.APIs, 2)
	require.Equal(t, svcauth.API{Audience: "https://api.cloud.example", Name: "Cloud API",
		Description: "Clusters, cloud settings and alarms of the data platform."}, c.APIs[0])
	names := map[string]string{}
	for _, p := range c.Privileges {
		names[p.Name] = p.API
		require.NotEmpty(t, p.Title)
		require.NotEmpty(t, p.Description)
	}
	for _, verb := range []string{"view", "create", "edit", "suspend", "resume", "release"} {
		require.Equal(t, "https://api.cloud.example", names["clusters:"+verb])
	}
	require.Equal(t, "https://billing.cloud.example", names["billing:manage"])
	require.Contains(t, names, "alarms:view")
	require.Contains(t, names, "cloud-settings:manage")
	fromFile, err := LoadCatalog("../../config/catalog.yaml", issuer)
	require.NoError(t, err)
	require.Equal(t, c, fromFile)
}

func TestCatalogFaults(t *testing.T) {
	one := func(audience, privilege string) string {
		return fmt.Sprintf("apis:\n  - audience: %s\n    name: A\n    privileges:\n      - {name: %s, title: T}\n",
			audience, privilege)
	}
	for text, want := range map[string]string{
		one("https://a.example", "a:b"):         "",
		one("urn:example:api", `"a-1.b-2:c-d"`): "",
		"":                                      "", // an empty catalogue: the built-in privileges alone
		one("https://a.example#f",
			"a:b"): ":2: audience: \"https://a.example#f\" has a fragment",
		one("api", "a:b"):                     ":2: audience: \"api\" is not an absolute URI",
		one("https://a.example:99999", "a:b"): ":2: audience: \"https://a.example:99999\" names a port",
		one("https://a.example/a/..", "a:b"):  ":2: audience: \"https://a.example/a/..\" has a part . or ..",
		one("https://", "a:b"):                ":2: audience: ",
		one(issuer,
			"a:b"): ":2: audience: \"https://auth.example.com\" is this server's own audience",
		one("'"+strings.Repeat("a", 257)+"'", "a:b"):           ":2: audience: has 257 characters; expected 1 to 256",
		one("https://a.example", "members:manage"):             ":5: privilege: \"members:manage\" is taken",
		one("https://a.example", "A:b"):                        ":5: privilege: \"A:b\" is not noun:verb",
		one("https://a.example", "'a b:c'"):                    "is not noun:verb",
		one("https://a.example", "all-apis"):                   "is not noun:verb",
		one("https://a.example", "a:"+strings.Repeat("b", 63)): "privilege: has 65 characters",
		one("https://a.example", "1"):                          ":5: privilege: is missing or not a text",
		one("https://a.example", "a:b") +
			"      - {name: a:b, title: T}\n": ":6: privilege: \"a:b\" is taken",
		one("https://a.example", "a:b") +
			"      - {name: a:c}\n": ":6: title: is missing",
		one("https://a.example", "a:b") +
			strings.TrimPrefix(one("https://a.example", "a:c"),
				"apis:\n"): ":6: audience: \"https://a.example\" is given twice",
		"apis:\n  - {audience: 'https://a.example', name: A}\n":     ":2: privileges: the API",
		"apis:\n  - {audience: 'https://a.example', colour: red}\n": ":2: is not valid YAML",
		"apis: {}\n": "is not valid YAML",
	} {
		_, err := LoadCatalog(write(t, text), issuer)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, text)
	}
	var many strings.Builder
	many.WriteString(one("https://a.example", "a:b"))
	for i := range maxPrivileges {
		fmt.Fprintf(&many, "      - {name: 'a:x%d', title: T}\n", i)
	}
	_, err := LoadCatalog(write(t, many.String()), issuer)
	require.ErrorContains(t, err, "has 501 privileges")
	_, err = LoadCatalog("/no/such", issuer)
	require.ErrorContains(t, err, "/no/such: can't read the catalogue")
}

func TestCatalogReportsAllFaults(t *testing.T) {
	_, err := LoadCatalog(write(t,
		"apis:\n  - audience: x\n    name: ''\n    privileges: [{name: a, title: t}, {name: b, title: ''}]\n"), issuer)
	var f Faults
	require.ErrorAs(t, err, &f)
	require.Len(t, f, 5, f.Error())
}

// withProfile is a catalogue whose API has more lines, from the third on.
func withProfile(lines string) string {
	return "apis:\n  - audience: https://a.example\n" + lines +
		"    name: A\n    privileges: [{name: a:b, title: T}]\n"
}

func TestCatalogProfiles(t *testing.T) {
	for text, want := range map[string]*svcauth.Profile{
		"":                          nil,
		"    profile:\n":            nil,
		"    profile: {}\n":         nil,
		"    profile: {claims: }\n": nil,
		"    profile: {preset: spring, scope_claim: scp}\n": {Preset: "spring", ScopeClaim: "scp"},
		"    profile:\n      signing_algorithm: RS256\n      typ: JWT\n      audience_form: string\n" +
			"      claims: {ver: 1, azp: '{client_id}', who: {of: ['{org_id}/{name}', true, 1.5]}}\n": {
			SigningAlgorithm: "RS256", Typ: "JWT", AudienceForm: "string", Claims: map[string]any{
				"ver": 1.0, "azp": "{client_id}",
				"who": map[string]any{"of": []any{"{org_id}/{name}", true, 1.5}},
			},
		},
	} {
		c, err := LoadCatalog(write(t, withProfile(text)), issuer)
		require.NoError(t, err, text)
		require.Equal(t, want, c.APIs[0].Profile, text)
		require.Nil(t, c.APIs[0].AccountClaims)
	}
	c, err := LoadCatalog(write(t, withProfile("    profile: &all {preset: strimzi}\n"+
		"    account_claims: [department, tier]\n")+
		"  - {audience: 'https://b.example', name: B, profile: *all, privileges: [{name: b:b, title: T}]}\n"), issuer)
	require.NoError(t, err)
	require.Equal(t, []string{"department", "tier"}, c.APIs[0].AccountClaims)
	require.Equal(t, &svcauth.Profile{Preset: "strimzi"}, c.APIs[1].Profile)
}

func TestCatalogProfileFaults(t *testing.T) {
	for text, want := range map[string]string{
		"    profile: spring\n": ":3: profile: is no section",
		"    profile: {colour: red}\n": ":3: profile: the key \"colour\" is not known; expected audience_form, " +
			"claims, preset, scope_claim, signing_algorithm or typ",
		"    profile:\n      typ: JWT\n      typ: JWT\n": ":5: profile: the key \"typ\" is given twice",
		"    profile:\n      preset: kong\n": ":4: profile.preset: \"kong\" is not known; expected aws-api-gateway, " +
			"azure-apim, spring or strimzi",
		"    profile: {signing_algorithm: PS256}\n": "profile.signing_algorithm: \"PS256\" is not known; " +
			"expected ES256, RS256 or EdDSA",
		"    profile: {typ: [JWT]}\n":                     "profile.typ: is no text; expected at+jwt or JWT",
		"    profile: {scope_claim: roles}\n":             "expected scope, scp or permissions",
		"    profile: {audience_form: list}\n":            "expected string or array",
		"    profile: {claims: [a]}\n":                    ":3: profile.claims: is no section",
		"    profile:\n      claims:\n        sub: x\n":   ":5: profile.claims: \"sub\" is a claim that this",
		"    profile:\n      claims: {scp: [a]}\n":        ":4: profile.claims: \"scp\" is a claim that this",
		"    profile:\n      claims: {'a b': x}\n":        ":4: profile.claims: \"a b\" is not the name of a claim",
		"    profile:\n      claims: {a: '{name}'}\n":     ":4: profile.claims.a: has {name} alone",
		"    profile:\n      claims: {a: '{roles}'}\n":    ":4: profile.claims.a: has {roles}, which stands",
		"    profile:\n      claims: {a: 2026-01-01}\n":   ":4: profile.claims.a: has a date",
		"    profile:\n      claims: {a: .nan}\n":         ":4: profile.claims.a: has a number that JSON does not have",
		"    profile:\n      claims: {a: {1: x}}\n":       ":4: profile.claims.a: has a section",
		"    profile:\n      claims: {a: {b: c, b: d}}\n": ":4: profile.claims.a: is not valid YAML",
		"    profile:\n      claims: {a: 9007199254740993}\n": ":4: profile.claims.a: has a number of more than " +
			"53 bits",
		"    profile:\n      claims: {a: " + strings.Repeat("x", 2048) + "}\n": ":4: profile.claims: has 2056 bytes " +
			"of JSON; at most 2048",
		"    profile: {claims: {a: " + strings.Repeat("[", 9) + strings.Repeat("]", 9) + "}}\n": "deep",
		"    account_claims: department\n":                  ":3: account_claims: is no list",
		"    account_claims: [1]\n":                         ":3: account_claims: has an entry that is no text",
		"    account_claims:\n      - tier\n      - tier\n": ":5: account_claims: \"tier\" is given twice",
		"    account_claims: [aud]\n":                       "account_claims: \"aud\" is a claim that this server",
		"    profile: {preset: strimzi}\n    account_claims: [typ]\n": ":4: account_claims: \"typ\" is a claim that " +
			"the profile of this API writes",
		"    profile: {preset: strimzi}\n    account_claims: [Typ]\n": ":4: account_claims: \"typ\" is a claim that " +
			"the profile of this API writes",
		"    account_claims: [tier, TIER]\n": "account_claims: \"tier\" and \"TIER\" differ in large and small letters",
		"    profile: {preset: strimzi, claims: {TYP: a}}\n": ":3: profile.claims: has \"TYP\" and \"typ\", which " +
			"differ in large and small letters alone; keep one",
		"    account_claims: [" + strings.Repeat("a, ", 33) + "]\n": "has 33 names; at most 32",
	} {
		_, err := LoadCatalog(write(t, withProfile(text)), issuer)
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), "\n", text)
	}
}
