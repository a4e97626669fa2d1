// Package profile knows the forms that tokens for an API may have: the presets,
// what a profile of the catalogue comes to with them, the claims that no
// profile and no account may write, and the texts of templates.
//
// It refuses to know which API a token is for (package token), how a catalogue
// is written (package config) and which keys there are (package keyring).
package profile

import (
	"maps"
	"slices"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The presets: what some gateways and libraries demand of a token.
const (
	AWSAPIGateway = "aws-api-gateway"
	AzureAPIM     = "azure-apim"
	Spring        = "spring"
	Strimzi       = "strimzi"
)

// The values of the header parameter typ.
const (
	TypAccessToken = verify.TypAccessToken
	TypJWT         = verify.TypJWT
)

// The claims that the privileges may stand in.
const (
	ClaimScope       = "scope"       // a text, privileges separated by spaces (RFC 8693 §4.2)
	ClaimSCP         = "scp"         // an array
	ClaimPermissions = "permissions" // an array
)

// The forms of aud (RFC 7519 §4.1.3).
const (
	AudienceString = "string"
	AudienceArray  = "array"
)

// preset returns what a preset fills in; nothing if there is none of that name.
// Each algorithm is said, so that what fits does not hang on the server's
// configuration.
func preset(name string) svcauth.Profile {
	switch name {
	case AWSAPIGateway, AzureAPIM:
		// The JWT authorizer takes RSA only; validate-jwt takes RS256, RS512
		// and PS256 with published keys.
		return svcauth.Profile{SigningAlgorithm: jwk.RS256}
	case Spring:
		// JwtTypeValidator takes JWT or no typ, and a decoder that was given a
		// jwk-set-uri alone takes RS256 only.
		return svcauth.Profile{SigningAlgorithm: jwk.RS256, Typ: TypJWT}
	case Strimzi:
		// It looks for the type in the claims, and has no EdDSA.
		return svcauth.Profile{SigningAlgorithm: jwk.ES256, Claims: map[string]any{"typ": "Bearer"}}
	}
	return svcauth.Profile{}
}

// Presets returns the names of the presets, sorted.
func Presets() []string { return []string{AWSAPIGateway, AzureAPIM, Spring, Strimzi} }

// SigningAlgorithms returns the algorithms that a profile may name.
func SigningAlgorithms() []string { return []string{jwk.ES256, jwk.RS256, jwk.EdDSA} }

// Typs returns the values of typ that a profile may name.
func Typs() []string { return []string{TypAccessToken, TypJWT} }

// ScopeClaims returns the claims that the privileges may stand in.
func ScopeClaims() []string { return []string{ClaimScope, ClaimSCP, ClaimPermissions} }

// AudienceForms returns the forms of aud that a profile may name.
func AudienceForms() []string { return []string{AudienceString, AudienceArray} }

// Resolve returns what a profile comes to: what it says, else what its preset
// says, else typ at+jwt and the claim scope. SigningAlgorithm stays empty if
// the server's is used, and AudienceForm if aud is a text for one API and an
// array for more. nil is the usual profile. The claims may be shared: they are
// not to be changed.
func Resolve(p *svcauth.Profile) svcauth.Profile {
	if p == nil {
		p = &svcauth.Profile{}
	}
	r, from := *p, preset(p.Preset)
	fill(&r.SigningAlgorithm, from.SigningAlgorithm)
	fill(&r.Typ, from.Typ, TypAccessToken)
	fill(&r.ScopeClaim, from.ScopeClaim, ClaimScope)
	fill(&r.AudienceForm, from.AudienceForm)
	if len(from.Claims) > 0 {
		r.Claims = maps.Clone(from.Claims)
		maps.Copy(r.Claims, p.Claims)
	}
	return r
}

// Unknown returns the first value of a profile that this release doesn't know,
// after the name of its field, or "" if it knows all. A newer release may have
// written one into the database: what such a token looks like is not known
// here.
func Unknown(p *svcauth.Profile) string {
	if p == nil {
		return ""
	}
	for _, field := range []struct {
		name, value string
		known       []string
	}{
		{"preset", p.Preset, Presets()},
		{"signing_algorithm", p.SigningAlgorithm, SigningAlgorithms()},
		{"typ", p.Typ, Typs()},
		{"scope_claim", p.ScopeClaim, ScopeClaims()},
		{"audience_form", p.AudienceForm, AudienceForms()},
	} {
		if field.value != "" && !slices.Contains(field.known, field.value) {
			return field.name + " " + field.value
		}
	}
	return ""
}

// fill gives a text that is empty the first of some that is not.
func fill(text *string, with ...string) {
	for _, w := range with {
		if *text == "" {
			*text = w
		}
	}
}

// Algorithms returns the signing algorithms that the profiles of some APIs
// name, sorted, once each. What a newer release has in the database is left out
// if it is not known here: there are no keys for it.
func Algorithms(apis []svcauth.API) []string {
	var all []string
	for _, a := range apis {
		if algorithm := Resolve(a.Profile).SigningAlgorithm; slices.Contains(SigningAlgorithms(), algorithm) {
			all = append(all, algorithm)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
