// Package federation owns what a federated credential trusts: its policy, the
// named rules by which a token of another issuer fits it, the presets of known
// issuers and what others could make of a policy that is too wide.
//
// The rules are one list ([Judge], [Verifier.Verify]), and both those who
// authenticate and those who try out ask it, so that neither can know a rule
// that the other does not.
//
// It refuses to know: whose the credential is and what its tokens carry, SQL,
// routes, and how keys are fetched (package remotekeys).
package federation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/remotekeys"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Policy is what a federated credential trusts, as it is stored. It is not
// changed once it is in use.
type Policy struct {
	Name     string `json:"name"`
	Preset   string `json:"preset,omitempty"`
	Issuer   string `json:"issuer"`             // of the tokens, to the letter; or spiffe:// and a trust domain
	Audience string `json:"audience,omitempty"` // empty: this server's issuer, or the organization's audience
	Subject  string `json:"subject,omitempty"`  // empty: any

	Claims     map[string]string `json:"claims,omitempty"`
	JWKS       json.RawMessage   `json:"jwks,omitempty"`
	JWKSURI    string            `json:"jwks_uri,omitempty"`
	Algorithms []string          `json:"algorithms"`
	MaxAge     int               `json:"max_age_seconds"`
	OneTime    bool              `json:"one_time,omitempty"`
	Privileges []string          `json:"privileges,omitempty"`        // nil: no ceiling
	TTLSeconds int               `json:"token_ttl_seconds,omitempty"` // 0: until the token's exp

	inline func() ([]jwk.Verifier, error)
}

// Parse reads a policy as [Policy.Material] writes it.
func Parse(material string) (*Policy, error) {
	p := &Policy{}
	if err := json.Unmarshal([]byte(material), p); err != nil {
		return nil, fmt.Errorf("read the policy of a federated credential: %w", err)
	}
	return p.prepared(), nil
}

// prepared returns p with its own keys at hand: they are parsed with the first
// token that needs them.
func (p *Policy) prepared() *Policy {
	p.inline = sync.OnceValues(func() ([]jwk.Verifier, error) { return jwk.ParseVerifiers(p.JWKS, maxInlineKeys) })
	return p
}

const maxInlineKeys = 20

// Material returns what is stored of the policy. The same policy has the same
// material.
func (p *Policy) Material() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings, numbers and JSON that was parsed always have a form
	}
	return string(text)
}

// source returns where the keys are fetched; ok is false if the policy has them
// itself.
func (p *Policy) source() (from remotekeys.Source, ok bool) {
	return remotekeys.Source{Issuer: p.Issuer, URL: p.JWKSURI}, p.JWKS == nil
}

// spiffeScheme is what a trust domain begins with, and each SPIFFE ID.
const spiffeScheme = "spiffe://"

// isTrustDomain reports whether the issuer is a SPIFFE trust domain: the tokens
// may have any iss or none, and their sub is in the domain.
func (p *Policy) isTrustDomain() bool { return strings.HasPrefix(p.Issuer, spiffeScheme) }

// Noun returns the policy as callers see it, without what belongs to its row.
func (p *Policy) Noun(own string) svcauth.FederatedCredential {
	noun := svcauth.FederatedCredential{
		Name: p.Name, Preset: p.Preset, Issuer: p.Issuer, Audience: p.Audience, Subject: p.Subject,
		Claims: p.Claims, JWKS: p.JWKS, JWKSURI: p.JWKSURI, Algorithms: slices.Clone(p.Algorithms),
		MaxAge: p.MaxAge, OneTime: p.OneTime, Privileges: p.Privileges, TTLSeconds: p.TTLSeconds,
		Warnings: p.Lint(own),
	}
	if noun.Audience == "" {
		noun.Audience = own
	}
	if noun.Claims == nil {
		noun.Claims = map[string]string{}
	}
	if noun.Warnings == nil {
		noun.Warnings = []svcauth.FederatedWarning{}
	}
	return noun
}

// organizationPart stands between this server's issuer and an organization's id
// in the audience that names the organization.
const organizationPart = "/o/"

// OrganizationAudience returns the audience that names an organization of the
// server with that issuer.
func OrganizationAudience(own, orgID string) string { return own + organizationPart + orgID }

// OrganizationOf returns the organization that an audience names. It need not
// exist.
func OrganizationOf(own, audience string) (orgID string, ok bool) {
	rest, ok := strings.CutPrefix(audience, own)
	if !ok {
		return "", false
	}
	orgID, ok = strings.CutPrefix(rest, organizationPart)
	return orgID, ok && svcauth.ValidID(svcauth.PrefixOrganization, orgID)
}
