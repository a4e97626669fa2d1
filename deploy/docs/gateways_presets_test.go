package docs_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/profile"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// evidence is what a gateway sees of a token and of its issuer.
type evidence struct {
	api
	issuer                      string
	header, claims, key, issues map[string]any // key: the one that the header names; issues: the metadata
}

func (e evidence) algorithm(of ...string) bool {
	alg, _ := e.header["alg"].(string)
	return slices.Contains(of, alg) && e.key["alg"] == alg
}

// number reports whether a claim is one that lies so far ahead, or more.
func (e evidence) number(claim string, ahead time.Duration) bool {
	at, ok := e.claims[claim].(float64)
	return ok && at == float64(int64(at)) && at >= float64(time.Now().Add(ahead).Unix())
}

func (e evidence) scope() bool {
	text, _ := e.claims["scope"].(string)
	return slices.Contains(strings.Split(text, " "), e.privilege)
}

func (e evidence) typJWT() bool { return e.header["typ"] == nil || e.header["typ"] == "JWT" }

// demands are the checks of the programs that presets are for and that can't be
// had here, as their documentation and source have them.
var demands = map[string]map[string]func(evidence) bool{
	profile.AWSAPIGateway: {
		"it takes RSA alone":    func(e evidence) bool { return e.algorithm("RS256") && e.key["kty"] == "RSA" },
		"the kid is in the set": func(e evidence) bool { return e.header["kid"] == e.key["kid"] },
		"it finds the keys by discovery": func(e evidence) bool {
			return e.issues["issuer"] == e.issuer && e.issues["jwks_uri"] == e.issuer+"/.well-known/jwks.json"
		},
		"iss":                 func(e evidence) bool { return e.claims["iss"] == e.issuer },
		"aud is the audience": func(e evidence) bool { return e.claims["aud"] == e.audience },
		"exp lies ahead":      func(e evidence) bool { return e.number("exp", 0) },
		"a route's scope":     evidence.scope,
	},
	profile.AzureAPIM: {
		"it takes some of RSA":      func(e evidence) bool { return e.algorithm("RS256", "RS512", "PS256") },
		"exp lies ahead, no leeway": func(e evidence) bool { return e.number("exp", time.Minute) },
		"the audience":              func(e evidence) bool { return e.claims["aud"] == e.audience },
		"scope, split at spaces":    evidence.scope,
		"the issuer of discovery":   func(e evidence) bool { return e.claims["iss"] == e.issues["issuer"] },
	},
	profile.Spring: {
		"typ is JWT or none":         evidence.typJWT,
		"RS256 with jwk-set-uri":     func(e evidence) bool { return e.algorithm("RS256") },
		"the issuer of discovery":    func(e evidence) bool { return e.claims["iss"] == e.issues["issuer"] },
		"scope becomes SCOPE_":       evidence.scope,
		"exp lies ahead":             func(e evidence) bool { return e.number("exp", 0) },
		"no cnf, which it would ask": func(e evidence) bool { return e.claims["cnf"] == nil },
	},
	profile.Strimzi: {
		"the claim typ is Bearer": func(e evidence) bool { return e.claims["typ"] == "Bearer" },
		"RS, PS or ES":            func(e evidence) bool { return e.algorithm("RS256", "PS256", "ES256") },
		"the key is for signing":  func(e evidence) bool { return e.key["use"] == "sig" },
		"iss":                     func(e evidence) bool { return e.claims["iss"] == e.issuer },
		"sub is the user":         func(e evidence) bool { return e.claims["sub"] == e.claims["client_id"] },
		"exp":                     func(e evidence) bool { return e.number("exp", 0) },
		"iat":                     func(e evidence) bool { return e.number("iat", -time.Minute) },
	},
}

// TestPresetsFitWhatTheyAreFor checks what each preset writes by the rules of
// the programs that gateways.md has only read of.
func TestPresetsFitWhatTheyAreFor(t *testing.T) {
	y := newYard(t)
	require.ElementsMatch(t, profile.Presets(), slices.Collect(maps.Keys(demands)))
	for _, a := range yardAPIs {
		e := y.evidence(t, a)
		for name, fits := range demands[a.name] {
			require.True(t, fits(e), "%s: %s: %v %v", a.name, name, e.header, e.claims)
		}
	}
	usual := y.evidence(t, yardAPIs[0])
	for preset, checks := range demands {
		refused := slices.ContainsFunc(slices.Collect(maps.Values(checks)), func(fits func(evidence) bool) bool {
			return !fits(usual)
		})
		require.True(t, refused, "%s would take the usual tokens too", preset)
	}
}

// TestTheProfilesOfThePage loads the catalogue that gateways.md shows.
func TestTheProfilesOfThePage(t *testing.T) {
	file := publicFile(t, t.TempDir(), "catalog.yaml", []byte(snippetOf(t, "gateways.md", "apis:")))
	catalog, err := config.LoadCatalog(file, "https://auth.example.com")
	require.NoError(t, err)
	require.Len(t, catalog.APIs, 2)
	require.Equal(t, "RS256", profile.Resolve(catalog.APIs[0].Profile).SigningAlgorithm)
	require.Equal(t, profile.AudienceString, profile.Resolve(catalog.APIs[1].Profile).AudienceForm)
}

func (y *yard) evidence(t *testing.T, a api) evidence {
	t.Helper()
	e := evidence{api: a, issuer: y.Issuer, issues: y.Get("/.well-known/openid-configuration", "").JSON}
	parts := strings.Split(y.good(a), ".")
	for i, into := range []*map[string]any{&e.header, &e.claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, into))
	}
	for _, key := range y.keySet(t) {
		if key["kid"] == e.header["kid"] {
			e.key = key
		}
	}
	return e
}

// keySet returns the published keys.
func (y *yard) keySet(t *testing.T) []map[string]any {
	t.Helper()
	var set struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(y.Get("/.well-known/jwks.json", "").Text), &set))
	return set.Keys
}

// TestTheKeySetIsWhatGatewaysCanRead: with keys of several algorithms, one of
// each replaced by hand, each says what it is for, there are no more than the
// load balancer of AWS reads, discovery lists what signs, and caches are told
// how long to keep it.
func TestTheKeySetIsWhatGatewaysCanRead(t *testing.T) {
	y := newYard(t)
	keys, algorithms := y.keySet(t), map[any]int{}
	for _, key := range keys {
		require.Equal(t, "sig", key["use"])
		require.NotEmpty(t, key["kid"])
		algorithms[key["alg"]]++
		require.NotContains(t, key, "d")
	}
	require.LessOrEqual(t, len(keys), svcauth.MaxPublishedKeys)
	answer := y.Get("/.well-known/jwks.json", "")
	require.Less(t, len(answer.Text), 150_000)
	require.Regexp(t, `^public, max-age=\d+$`, answer.Header.Get("Cache-Control"))
	require.Equal(t, "application/json", answer.Header.Get("Content-Type"))
	discovery := y.Get("/.well-known/openid-configuration", "")
	require.Regexp(t, `^public, max-age=\d+$`, discovery.Header.Get("Cache-Control"))
	require.Len(t, algorithms, 3)
	for algorithm, count := range algorithms {
		require.GreaterOrEqual(t, count, 3, "next, active and replaced")
		require.Contains(t, discovery.JSON["id_token_signing_alg_values_supported"], algorithm)
	}
}
