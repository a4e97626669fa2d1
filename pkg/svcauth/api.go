package svcauth

import (
	"maps"
	"slices"
	"strings"
)

// API is a resource server that the server issues tokens for: its audience, and
// what it is called.
type API struct {
	Audience    string `json:"audience" doc:"The audience of the API, a URI"`
	Name        string `json:"name" doc:"The name"`
	Description string `json:"description" doc:"For people"`

	Profile       *Profile `json:"profile,omitempty" doc:"The form of the tokens for this API; absent: that of RFC 9068, signed as the server is configured"`
	AccountClaims []string `json:"account_claims,omitempty" doc:"The claims that service accounts may have of their own in tokens for this API"`
}

// Profile is the form of the tokens for one API. What is empty is the preset's,
// or else what the server writes without a profile.
type Profile struct {
	Preset           string         `json:"preset,omitempty" enum:"aws-api-gateway,azure-apim,spring,strimzi" doc:"The gateway or library whose demands fill in what is absent"`
	SigningAlgorithm string         `json:"signing_algorithm,omitempty" enum:"ES256,RS256,EdDSA" doc:"The algorithm of the signature; absent: the server's (token.signing_algorithm)"`
	Typ              string         `json:"typ,omitempty" enum:"at+jwt,JWT" doc:"The header parameter typ; absent: at+jwt (RFC 9068)"`
	ScopeClaim       string         `json:"scope_claim,omitempty" enum:"scope,scp,permissions" doc:"The claim that has the privileges: scope (a string), scp or permissions (arrays); absent: scope"`
	AudienceForm     string         `json:"audience_form,omitempty" enum:"string,array" doc:"The form of aud: string (a token is then for one API) or array; absent: a string for one, an array for more"`
	Claims           map[string]any `json:"claims,omitempty" doc:"Further claims, the same for all; in texts {client_id}, {sub}, {org_id} and, beside {org_id}, {name} stand for the client's; an application key, which has no name, has its client_id there"`
}

// String returns what the profile says, on one line; "usual" if it says
// nothing.
func (p *Profile) String() string {
	if p == nil {
		return "usual"
	}
	var all []string
	for _, part := range []struct{ before, value string }{
		{"preset ", p.Preset}, {"", p.SigningAlgorithm}, {"typ ", p.Typ}, {"privileges in ", p.ScopeClaim},
		{"aud as ", p.AudienceForm}, {"claims ", strings.Join(slices.Sorted(maps.Keys(p.Claims)), " ")},
	} {
		if part.value != "" {
			all = append(all, part.before+part.value)
		}
	}
	if len(all) == 0 {
		return "usual"
	}
	return strings.Join(all, ", ")
}

// Privilege is one permission. Its name is a value of OAuth2 scope.
type Privilege struct {
	Name        string `json:"name" doc:"The name, noun:verb: a value of OAuth2 scope"`
	Title       string `json:"title" doc:"What it is called in lists"`
	Description string `json:"description" doc:"For people"`
	API         string `json:"api" doc:"The audience of the API it belongs to"`
}
