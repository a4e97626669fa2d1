package token

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/untrusted"
)

// Request is a token request after the client was authenticated, RFC 6749 §4.4.2 and RFC 8707 §2.
type Request struct {
	GrantType string
	Scope     string
	Resources []string // resource and audience alike
	IP        string
	UserAgent string
}

// Issued is the answer, RFC 6749 §5.1.
type Issued struct {
	AccessToken string // never logged
	ExpiresIn   int64  // seconds
	Scope       string
	JTI         string
}

// The bounds of what may be asked for.
const (
	maxResources    = 20
	maxResourceSize = 512
	maxScopeSize    = 8 << 10
)

// Issue grants an authenticated client a token.
func (s *Service) Issue(ctx context.Context, client Authenticated, r Request) (Issued, *Error) {
	if r.GrantType == "" {
		return Issued{}, Refuse(CodeInvalidRequest, "no_grant_type", "grant_type is missing: expected client_credentials")
	}
	if r.GrantType != "client_credentials" {
		return Issued{}, Refuse(CodeUnsupportedGrantType, "grant_type", "grant_type is not supported: expected client_credentials")
	}
	issued, err := s.runGrant(ctx, client, r)
	if err != nil {
		return Issued{}, err
	}
	if s.cfg.OnIssued != nil {
		s.cfg.OnIssued()
	}
	return issued, nil
}

// decide works out what the token carries: RFC 6749 §3.3 (scope), RFC 8707 §2
// (resource). No API may replay at this server what it received, so the issuer
// is among the audiences only if the request says so.
func (s *Service) decide(client *Client, r Request) (grant, *Error) {
	resources, err := client.resources(r.Resources)
	if err != nil {
		return grant{}, err
	}
	alias := slices.Contains(s.cfg.ScopeAliases, r.Scope)
	if len(resources) == 0 && (r.Scope == "" || alias && !client.standard.own) {
		return client.standard, s.fits(client.standard)
	}
	available := client.apis
	if len(resources) > 0 {
		available = client.ofResources(resources)
	}
	scope, err := s.scope(client, r.Scope, available, len(resources) > 0)
	if err != nil {
		return grant{}, err
	}
	if len(resources) == 0 && client.mixes(scope, s.cfg.Issuer) {
		return grant{}, Refuse(CodeInvalidTarget, "mixed_scope", "scope has privileges of this server itself beside those of other APIs: "+
			"ask for them in two requests, or name each API with resource, this server as resource=%s", s.cfg.Issuer)
	}
	narrowed := len(resources) > 0 || r.Scope != "" && !alias
	g := client.grantOf(scope, resources, s.cfg.Issuer, narrowed, r.Scope == "" || alias)
	return g, s.fits(g)
}

// tokenSize is the reason of a refusal because a token would be too long.
const tokenSize = "token_size"

// fits refuses a token that would be too long to be of use: our own endpoints,
// resource servers and proxies bound what they read.
func (s *Service) fits(g grant) *Error {
	if s.cfg.MaxSize == 0 {
		return nil
	}
	if size := s.size(g); size > s.cfg.MaxSize {
		return Refuse(CodeInvalidScope, tokenSize, "the token would have %d characters, more than the %d that are issued (token.max_size): "+
			"ask for fewer privileges, by scope or by resource", size, s.cfg.MaxSize)
	}
	return nil
}

// size is how long a token of this grant is, in characters.
func (s *Service) size(g grant) int { return s.cfg.Keyring.TokenSize(len(g.claims) + instanceSize) }

// ofResources lists the privileges that the client holds of some APIs.
func (c *Client) ofResources(resources []string) []string {
	var held []string
	for _, p := range c.held.Privileges {
		if slices.Contains(resources, c.catalog.api[p]) {
			held = append(held, p)
		}
	}
	return held
}

// mixes reports whether some of the privileges are this server's own and some
// are another API's.
func (c *Client) mixes(privileges []string, issuer string) bool {
	own := 0
	for _, p := range privileges {
		if c.catalog.api[p] == issuer {
			own++
		}
	}
	return own > 0 && own < len(privileges)
}

// resources checks what was asked for and drops repetitions.
func (c *Client) resources(asked []string) ([]string, *Error) {
	if len(asked) > maxResources {
		return nil, Refuse(CodeInvalidTarget, "resource", "too many resources: at most %d", maxResources)
	}
	var all []string
	for _, r := range asked {
		if len(r) > maxResourceSize || !c.catalog.known[r] {
			return nil, Refuse(CodeInvalidTarget, "resource", "resource %s is unknown: expected the audience of an API in the catalogue", quote(r))
		}
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all, nil
}

// scope reads the scope asked for. An alias stands for what is available;
// resources says that this is what the resources asked for have, and that
// nothing else may be named. What is granted is sorted, each privilege once.
func (s *Service) scope(client *Client, asked string, available []string, resources bool) ([]string, *Error) {
	if len(asked) > maxScopeSize {
		return nil, Refuse(CodeInvalidScope, "scope_size", "scope is too long: at most %d bytes", maxScopeSize)
	}
	if asked == "" {
		return available, nil
	}
	var granted []string
	for name := range strings.SplitSeq(asked, " ") {
		switch {
		case name == "" || !isScopeToken(name):
			return nil, Refuse(CodeInvalidScope, "scope_form", "scope is malformed: expected privileges separated by single spaces")
		case slices.Contains(s.cfg.ScopeAliases, name):
			granted = append(granted, available...)
		case !client.granted[name] && strings.Contains(name, ","): // no privilege has one
			return nil, Refuse(CodeInvalidScope, "scope_not_granted", "scope %s is not granted to this client: privileges are separated by spaces, not by commas", quote(name))
		case !client.granted[name]:
			return nil, Refuse(CodeInvalidScope, "scope_not_granted", "scope %s is not granted to this client: none of its roles has this privilege", quote(name))
		case resources && !slices.Contains(available, name):
			return nil, Refuse(CodeInvalidScope, "scope_not_of_resource", "scope %s does not belong to the resources asked for: its API is %s", quote(name), quote(client.catalog.api[name]))
		default:
			granted = append(granted, name)
		}
	}
	slices.Sort(granted)
	return slices.Compact(granted), nil
}

// isScopeToken is RFC 6749 §3.3: printable ASCII without space, quote and backslash.
func isScopeToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// quote makes a caller's text fit for an error_description, bounded.
func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return "'" + untrusted.Quotable(s, len(s)) + "'"
}

// mint writes the claims of one token and signs them.
func (s *Service) mint(ctx context.Context, client Authenticated, g grant, r Request) (Issued, *Error) {
	now := s.cfg.Clock()
	lifetime := s.cfg.TTL
	if client.TTLSeconds > 0 {
		lifetime = time.Duration(client.TTLSeconds) * time.Second
	}
	iat := now.Unix()
	exp := iat + int64(lifetime/time.Second)
	for _, until := range []time.Time{client.held.Until, client.Until} { // no token outlives a grant that it stands on, nor the secret that it was got with
		if !until.IsZero() && until.Unix() < exp {
			exp = until.Unix()
		}
	}
	jti := newJTI()
	claims := append(make([]byte, 0, len(g.claims)+160), g.claims...)
	text, err := s.cfg.Keyring.Sign(appendInstance(claims, client.SecretID, jti, iat, exp))
	if err != nil {
		return Issued{}, fault(err)
	}
	s.cfg.Cache.RecordToken(ctx, cache.TokenRecord{
		JTI: jti, ClientID: client.ClientID, OrgID: client.OrgID, SecretID: client.SecretID, Scope: g.scope, IP: r.IP, UserAgent: r.UserAgent,
		Epoch: client.Epoch, Pol: client.Policy, Roles: g.roles,
		IssuedAt: time.Unix(iat, 0).UTC(), ExpiresAt: time.Unix(exp, 0).UTC(),
	})
	return Issued{AccessToken: text, ExpiresIn: exp - iat, Scope: g.scope, JTI: jti}, nil
}
