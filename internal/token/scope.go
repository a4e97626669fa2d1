package token

import (
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The bounds of what may be asked for.
const (
	maxResources    = 20
	maxResourceSize = 512     // bytes
	maxScopeSize    = 8 << 10 // bytes
)

// decide works out what the token carries: RFC 6749 §3.3 (scope), RFC 8707 §2
// (resource). No API may replay at this server what it received, so the issuer
// is among the audiences only if the request says so.
func (s *Service) decide(h *holder, r Request) (decision, *oautherr.Error) {
	resources, err := h.resources(r.Resources)
	if err != nil {
		return decision{}, err
	}
	named, alias := len(resources) > 0, slices.Contains(s.cfg.ScopeAliases, r.Scope)
	if !named && (r.Scope == "" || alias && !h.standard.own) {
		if h.standard.none() {
			return decision{}, h.usualRefused(s.cfg.Issuer)
		}
		return h.standard, s.fits(h.standard)
	}
	available := h.apis
	if named {
		available = h.ofResources(resources)
	}
	scope, err := s.scope(h, r.Scope, available, named)
	if err != nil {
		return decision{}, err
	}
	if !named {
		if h.mixes(scope, s.cfg.Issuer) {
			return decision{}, mixed(s.cfg.Issuer)
		}
		resources = h.catalog.audiences(scope)
	}
	if refusal := h.catalog.oneForm(resources); refusal != nil {
		return decision{}, refusal
	}
	all := r.Scope == "" || alias
	d := h.decision(scope, resources, s.cfg.Issuer, named || !all, all)
	return d, s.fits(d)
}

func mixed(issuer string) *oautherr.Error {
	return oautherr.New(oautherr.CodeInvalidTarget, "mixed_scope",
		"scope has privileges of this server itself beside those of other APIs: "+
			"ask for them in two requests, or name each API with resource, this server as resource=%s", issuer)
}

// tokenSize is the reason of a refusal because a token would be too long.
const tokenSize = svcauth.ReasonTokenSize

// fits refuses a token that would be too long to be of use: our own endpoints,
// resource servers and proxies bound what they read.
func (s *Service) fits(d decision) *oautherr.Error {
	return s.fitsWith(d, 0)
}

// fitsBound is fits for a token that is bound, and so longer.
func (s *Service) fitsBound(d decision, c *confirmation) *oautherr.Error {
	if c == nil {
		return nil
	}
	return s.fitsWith(d, sizeOf(c)-tokenClaimsSize)
}

func (s *Service) fitsWith(d decision, more int) *oautherr.Error {
	if s.cfg.MaxSize == 0 {
		return nil
	}
	if size := s.cfg.Keyring.TokenSize(d.profile.form, d.size()+more); size > s.cfg.MaxSize {
		return oautherr.New(oautherr.CodeInvalidScope, tokenSize,
			"the token would have %d characters, more than the %d that are issued (token.max_size): "+
				"ask for fewer privileges, by scope or by resource", size, s.cfg.MaxSize)
	}
	return nil
}

// ofResources returns the privileges that the client holds of some APIs.
func (h *holder) ofResources(resources []string) []string {
	var held []string
	for _, p := range h.held.Privileges {
		if slices.Contains(resources, h.catalog.api[p]) {
			held = append(held, p)
		}
	}
	return held
}

// mixes reports whether some of the privileges are this server's own and some
// are another API's.
func (h *holder) mixes(privileges []string, issuer string) bool {
	own := 0
	for _, p := range privileges {
		if h.catalog.api[p] == issuer {
			own++
		}
	}
	return own > 0 && own < len(privileges)
}

// resources checks the resources that were asked for and drops repetitions.
func (h *holder) resources(asked []string) ([]string, *oautherr.Error) {
	if len(asked) > maxResources {
		return nil, oautherr.New(oautherr.CodeInvalidTarget, "resource", "too many resources: at most %d", maxResources)
	}
	var all []string
	for _, r := range asked {
		if len(r) > maxResourceSize || !h.catalog.known[r] {
			return nil, oautherr.New(oautherr.CodeInvalidTarget, "resource",
				"resource %s is unknown: expected the audience of an API in the catalogue", quote(r))
		}
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all, nil
}

// scope reads the scope that was asked for. An alias stands for what is
// available. resources says that this is what the resources have, and that
// nothing else may be named. The result is sorted and has each privilege once.
func (s *Service) scope(h *holder, asked string, available []string, resources bool) ([]string, *oautherr.Error) {
	if len(asked) > maxScopeSize {
		return nil, oautherr.New(oautherr.CodeInvalidScope, "scope_size",
			"scope is too long: at most %d bytes", maxScopeSize)
	}
	if asked == "" {
		return available, nil
	}
	var granted []string
	for name := range strings.SplitSeq(asked, " ") {
		switch {
		case name == "" || !isScopeToken(name):
			return nil, oautherr.New(oautherr.CodeInvalidScope, "scope_form",
				"scope is malformed: expected privileges separated by single spaces")
		case slices.Contains(s.cfg.ScopeAliases, name):
			granted = append(granted, available...)
		case !h.granted[name] && strings.Contains(name, ","): // no privilege has one
			return nil, oautherr.New(oautherr.CodeInvalidScope, "scope_not_granted",
				"scope %s is not granted to this client: privileges are separated by spaces, not by commas",
				quote(name))
		case !h.granted[name]:
			return nil, oautherr.New(oautherr.CodeInvalidScope, "scope_not_granted",
				"scope %s is not granted to this client: none of its roles has this privilege", quote(name))
		case resources && !slices.Contains(available, name):
			return nil, oautherr.New(oautherr.CodeInvalidScope, "scope_not_of_resource",
				"scope %s does not belong to the resources asked for: its API is %s",
				quote(name), quote(h.catalog.api[name]))
		default:
			granted = append(granted, name)
		}
	}
	slices.Sort(granted)
	return slices.Compact(granted), nil
}

// isScopeToken reports whether s has the form of RFC 6749 §3.3: printable ASCII
// without space, quote and backslash.
func isScopeToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// quote makes a caller's text fit for an error_description, and bounds it.
func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return "'" + untrusted.Quotable(s, len(s)) + "'"
}
