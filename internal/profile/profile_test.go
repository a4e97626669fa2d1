package profile_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/profile"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestWhatAProfileComesTo(t *testing.T) {
	usual := svcauth.Profile{Typ: "at+jwt", ScopeClaim: "scope"}
	for name, c := range map[string]struct {
		profile *svcauth.Profile
		want    svcauth.Profile
	}{
		"none":    {nil, usual},
		"nothing": {&svcauth.Profile{}, usual},
		"aws-api-gateway": {
			&svcauth.Profile{Preset: "aws-api-gateway"},
			svcauth.Profile{Preset: "aws-api-gateway", SigningAlgorithm: "RS256", Typ: "at+jwt", ScopeClaim: "scope"},
		},
		"azure-apim": {
			&svcauth.Profile{Preset: "azure-apim"},
			svcauth.Profile{Preset: "azure-apim", SigningAlgorithm: "RS256", Typ: "at+jwt", ScopeClaim: "scope"},
		},
		"spring": {
			&svcauth.Profile{Preset: "spring"},
			svcauth.Profile{Preset: "spring", SigningAlgorithm: "RS256", Typ: "JWT", ScopeClaim: "scope"},
		},
		"spring with an issuer-uri": {
			&svcauth.Profile{Preset: "spring", SigningAlgorithm: "ES256", ScopeClaim: "scp", AudienceForm: "array"},
			svcauth.Profile{Preset: "spring", SigningAlgorithm: "ES256", Typ: "JWT", ScopeClaim: "scp",
				AudienceForm: "array"},
		},
		"strimzi, and a claim": {
			&svcauth.Profile{Preset: "strimzi", Claims: map[string]any{"zone": "a"}},
			svcauth.Profile{Preset: "strimzi", SigningAlgorithm: "ES256", Typ: "at+jwt", ScopeClaim: "scope",
				Claims: map[string]any{"typ": "Bearer", "zone": "a"}},
		},
		"strimzi, its claim said otherwise": {
			&svcauth.Profile{Preset: "strimzi", Claims: map[string]any{"typ": "DPoP"}},
			svcauth.Profile{Preset: "strimzi", SigningAlgorithm: "ES256", Typ: "at+jwt", ScopeClaim: "scope",
				Claims: map[string]any{"typ": "DPoP"}},
		},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, profile.Resolve(c.profile)) })
	}
}

func TestAlgorithmsOfACatalogue(t *testing.T) {
	assert.Empty(t, profile.Algorithms([]svcauth.API{{Audience: "https://a.test"}}))
	assert.Equal(t, []string{"EdDSA", "RS256"}, profile.Algorithms([]svcauth.API{
		{Profile: &svcauth.Profile{Preset: "spring"}}, {}, {Profile: &svcauth.Profile{SigningAlgorithm: "EdDSA"}},
		{Profile: &svcauth.Profile{Preset: "azure-apim"}},
		{Profile: &svcauth.Profile{SigningAlgorithm: "ML-DSA-44"}}, // a newer release's
	}))
}

// TestTheNounNamesTheSameValues compares with what the API's description says.
func TestTheNounNamesTheSameValues(t *testing.T) {
	for field, values := range map[string][]string{
		"Preset": profile.Presets(), "SigningAlgorithm": profile.SigningAlgorithms(), "Typ": profile.Typs(),
		"ScopeClaim": profile.ScopeClaims(), "AudienceForm": profile.AudienceForms(),
	} {
		f, ok := reflect.TypeFor[svcauth.Profile]().FieldByName(field)
		require.True(t, ok, field)
		assert.Equal(t, strings.Join(values, ","), f.Tag.Get("enum"), field)
	}
	for _, name := range profile.Presets() {
		assert.NotEmpty(t, profile.Resolve(&svcauth.Profile{Preset: name}).SigningAlgorithm, name)
	}
}

func TestClaimsThatMayNotBeWritten(t *testing.T) {
	for _, name := range []string{"", "sub", "cnf", "scope", "scp", "permissions", "roles", "epoch",
		"full", "SUB", "Scope", "a b", "é"} {
		assert.Error(t, profile.CheckClaimName(name), name)
	}
	for _, name := range []string{"azp", "typ", "gty", "https://hasura.io/jwt/claims"} {
		assert.NoError(t, profile.CheckClaimName(name), name)
	}
}

func TestClaimsHaveBounds(t *testing.T) {
	require.NoError(t, profile.CheckClaims(map[string]any{"realm_access": map[string]any{"roles": []any{"a"}}}))
	long := map[string]any{"a": string(make([]byte, profile.MaxClaims))}
	assert.ErrorContains(t, profile.CheckClaims(long), "at most 2048")
	assert.ErrorContains(t, profile.CheckClaims(map[string]any{"tier": 1, "Tier": 2}), `has "Tier" and "tier"`)
	var deep any = "x"
	for range 8 {
		deep = []any{deep}
	}
	assert.ErrorContains(t, profile.CheckClaims(map[string]any{"a": deep}), "deep")
}

func TestTemplates(t *testing.T) {
	for _, wrong := range []any{"{name}", "{nobody}", []any{"ok", map[string]any{"a": "x {name}"}}, "{org_id}{names}"} {
		assert.Error(t, profile.CheckTemplates(wrong), "%v", wrong)
	}
	for _, right := range []any{"{org_id}/{name}", "{client_id}@clients", "{sub}", 7.0, "{}", "{ name }",
		"{\"a\": 1}"} {
		assert.NoError(t, profile.CheckTemplates(right), "%v", right)
	}
}

// TestFilledTextsAreNotTemplates has an account named like a template: what
// stands for one is text and no more.
func TestFilledTextsAreNotTemplates(t *testing.T) {
	var claim any
	require.NoError(t, json.Unmarshal([]byte(`{"who": ["{org_id}/{name}", "{sub}", 1, true, null]}`), &claim))
	filled := profile.Fill(claim, profile.Values{ClientID: "app_1", Subject: "mem_1", OrgID: "org_1", Name: "{sub}"})
	assert.Equal(t, map[string]any{"who": []any{"org_1/{sub}", "mem_1", 1.0, true, nil}}, filled)
	assert.Equal(t, map[string]any{"who": []any{"{org_id}/{name}", "{sub}", 1.0, true, nil}}, claim)
}
