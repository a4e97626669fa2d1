package federation

import (
	"net/url"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// preset is what is known of a kind of issuers.
type preset struct {
	issuer     string   // that most use; empty: each has its own
	shared     []string // issuers that sign for everybody's workloads
	algorithms []string
	maxAge     int // seconds; 0: the default

	// ids are claims that stay when a name is given to somebody else.
	// owners are those of them that are of the owner only.
	ids, owners []string
}

const (
	githubIssuer = "https://token.actions.githubusercontent.com"
	gitlabIssuer = "https://gitlab.com"
	hcpIssuer    = "https://app.terraform.io"
	googleIssuer = "https://accounts.google.com"

	dayAge = 86400 // seconds
)

// presets are the kinds by their names.
var presets = map[string]preset{
	svcauth.PresetGitHub: {
		issuer: githubIssuer, shared: []string{githubIssuer}, algorithms: []string{"RS256"},
		ids:    []string{"repository_id", "repository_owner_id", "enterprise_id"},
		owners: []string{"repository_owner_id", "enterprise_id"},
	},
	svcauth.PresetGitLab: {
		issuer: gitlabIssuer, shared: []string{gitlabIssuer}, algorithms: []string{"RS256"},
		ids: []string{"project_id", "namespace_id"}, owners: []string{"namespace_id"},
	},
	svcauth.PresetHCPTerraform: {
		issuer: hcpIssuer, shared: []string{hcpIssuer}, algorithms: []string{"RS256"}, maxAge: dayAge,
		ids:    []string{"terraform_workspace_id", "terraform_project_id", "terraform_organization_id"},
		owners: []string{"terraform_organization_id"},
	},
	svcauth.PresetKubernetes: {
		algorithms: []string{"RS256", "ES256", "ES384", "ES512"},
		ids:        []string{"/kubernetes.io/serviceaccount/uid"},
	},
	svcauth.PresetSPIFFE: {
		algorithms: []string{"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
	},
	svcauth.PresetAWS:   {algorithms: []string{"RS256", "ES384"}},
	svcauth.PresetAzure: {algorithms: []string{"RS256"}, maxAge: dayAge, ids: []string{"oid"}},
	svcauth.PresetGoogle: {
		issuer: googleIssuer, shared: []string{googleIssuer}, algorithms: []string{"RS256"},
		ids: []string{"/google/compute_engine/instance_id"},
	},
}

// usual are the algorithms of a credential that names neither some nor a
// preset.
var usual = []string{"RS256", "ES256"}

// kind returns the name of a policy's preset: its own, or that of a known
// issuer.
func (p *Policy) kind() string {
	if p.Preset != "" {
		return p.Preset
	}
	for name, of := range presets {
		if slices.Contains(of.shared, p.Issuer) {
			return name
		}
	}
	return ""
}

// hasID reports whether the policy names something that stays when a name is
// given to somebody else, among the claims. Without a preset each that is known
// counts.
func (p *Policy) hasID() bool {
	if kind := p.kind(); kind != "" {
		return p.hasAny(presets[kind].ids)
	}
	for _, kind := range presets {
		if p.hasAny(kind.ids) {
			return true
		}
	}
	return false
}

func (p *Policy) hasAny(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return p.Claims[name] != "" })
}

// fill completes what is absent from the preset.
func (p *Policy) fill() {
	kind := presets[p.Preset]
	if p.Issuer == "" {
		p.Issuer = kind.issuer
	}
	if len(p.Algorithms) == 0 {
		p.Algorithms = slices.Clone(kind.algorithms)
	}
	if len(p.Algorithms) == 0 {
		p.Algorithms = slices.Clone(usual)
	}
	if p.MaxAge != 0 {
		return
	}
	p.MaxAge = svcauth.DefaultFederatedAge
	if kind.maxAge != 0 {
		p.MaxAge = kind.maxAge
	} else if p.Preset == svcauth.PresetKubernetes && isEKS(p.Issuer) {
		p.MaxAge = dayAge // its tokens live for a day
	}
}

// isEKS reports whether an issuer is a cluster of Amazon EKS.
func isEKS(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && strings.HasPrefix(u.Hostname(), "oidc.eks.")
}
