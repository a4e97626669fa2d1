package token

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/cache"
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

// decide works out what the token carries: RFC 6749 §3.3 (scope), RFC 8707 §2 (resource).
func (s *Service) decide(client *Client, r Request) (grant, *Error) {
	resources, err := client.resources(r.Resources)
	if err != nil {
		return grant{}, err
	}
	if len(resources) == 0 && (r.Scope == "" || slices.Contains(s.cfg.ScopeAliases, r.Scope)) {
		return client.standard, nil
	}
	available := client.held.Privileges
	if len(resources) > 0 {
		available = nil
		for _, p := range client.held.Privileges {
			if slices.Contains(resources, client.catalog.api[p]) {
				available = append(available, p)
			}
		}
	}
	scope, err := s.scope(client, r.Scope, available)
	if err != nil {
		return grant{}, err
	}
	return client.grantOf(scope, resources, s.cfg.Issuer), nil
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

// scope reads the scope asked for. What is granted is sorted, each privilege once.
func (s *Service) scope(client *Client, asked string, available []string) ([]string, *Error) {
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
		case !client.granted[name]:
			return nil, Refuse(CodeInvalidScope, "scope_not_granted", "scope %s is not granted to this client: none of its roles has this privilege", quote(name))
		case !slices.Contains(available, name):
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

// quote makes a caller's text fit for an error_description (RFC 6749 §5.2: no quote, no backslash, printable ASCII), bounded.
func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return "'" + strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s) + "'"
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
	if until := client.held.Until; !until.IsZero() && until.Unix() < exp {
		exp = until.Unix() // no token outlives a grant that it stands on
	}
	jti := newJTI()
	claims := append(make([]byte, 0, len(g.claims)+160), g.claims...)
	text, err := s.cfg.Keyring.Sign(appendInstance(claims, client.SecretID, jti, iat, exp))
	if err != nil {
		return Issued{}, fault(err)
	}
	s.cfg.Cache.RecordToken(ctx, cache.TokenRecord{
		JTI: jti, ClientID: client.ClientID, OrgID: client.OrgID, SecretID: client.SecretID, Scope: g.scope, IP: r.IP, UserAgent: r.UserAgent,
		Epoch: client.Epoch, Pol: client.Policy, Roles: client.held.Roles,
		IssuedAt: time.Unix(iat, 0).UTC(), ExpiresAt: time.Unix(exp, 0).UTC(),
	})
	return Issued{AccessToken: text, ExpiresIn: exp - iat, Scope: g.scope, JTI: jti}, nil
}
