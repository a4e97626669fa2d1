package config

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var (
	aliasPath = regexp.MustCompile(`^/[A-Za-z0-9._~/-]{1,127}$`)
	// RFC 6749 §3.3 scope-token, without the colon that would make it a
	// privilege.
	scopeAlias = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// ownPaths are the first segments of paths that the server serves itself.
var ownPaths = []string{"oauth2", ".well-known", "v1", "console", "healthz", "readyz", "docs", "openapi.json",
	"openapi.yaml", "metrics", "debug"}

func (c checker) tokens(cfg *Config) {
	const low, high = svcauth.MinTokenTTLSeconds * time.Second, svcauth.MaxTokenTTLSeconds * time.Second
	c.lasts(cfg.Token.TTL, low, high, "token.ttl")
	c.that(cfg.Token.TTL%time.Second == 0, "token.ttl",
		"is not a number of whole seconds; a token's times are (RFC 7519 §2)")
	c.oneOf(cfg.Token.SigningAlgorithm, "token.signing_algorithm", jwk.ES256, jwk.RS256, jwk.EdDSA)
	c.lasts(cfg.Token.ServeStale, 0, verify.MaxServeStale, "token.serve_stale")
	c.lasts(cfg.Token.Reuse, 0, cfg.Token.TTL/2, "token.reuse")
	size := cfg.Token.MaxSize
	c.that(size == 0 || size >= minMaxSize && size <= svcauth.MaxTokenSize, "token.max_size",
		"is %d; expected 0, or %d to %d, the longest token that the server's own endpoints take",
		size, minMaxSize, svcauth.MaxTokenSize)
	c.tokenAliases(cfg)
	c.oneOf(cfg.DPoP.Nonce, "dpop.nonce", string(dpop.NonceOff), string(dpop.NonceOptional), string(dpop.NonceRequired))
	c.oneOf(cfg.DPoP.Replay, "dpop.replay", ReplayNode, ReplayShared)
	c.that(cfg.DPoP.Replay != ReplayShared || cfg.Redis.URL != "", "dpop.replay",
		"is %s, but redis.url is empty; nodes share what was used through Redis", ReplayShared)
	c.lasts(cfg.JWKS.MaxAge, 10*time.Second, 24*time.Hour, "jwks.max_age")
	c.that(cfg.JWKS.MaxAge%time.Second == 0, "jwks.max_age",
		"is not a number of whole seconds, which Cache-Control needs (RFC 9111 §5.2.2.1)")
	c.lasts(cfg.Keys.RotateEvery, minRotateEvery, 10*365*24*time.Hour, "keys.rotate_every")
	published := cfg.Keys.PublishBefore
	c.that(published >= cfg.JWKS.MaxAge || c.broken["jwks.max_age"], "keys.publish_before",
		"is %s, less than jwks.max_age (%s): a key would sign before verifiers have it; make it longer",
		timespan.Text(published), timespan.Text(cfg.JWKS.MaxAge))
	c.that(published < cfg.Keys.RotateEvery || c.broken["keys.rotate_every"], "keys.publish_before",
		"is %s, not less than keys.rotate_every (%s); make it shorter",
		timespan.Text(published), timespan.Text(cfg.Keys.RotateEvery))
}

// tokenAliases checks the other names of the token endpoint and of all scopes.
func (c checker) tokenAliases(cfg *Config) {
	paths, scopes := cfg.Token.Aliases, cfg.Token.ScopeAliases
	c.that(len(paths) <= 16, "token.aliases", "has %d paths; at most 16 are taken", len(paths))
	for i, alias := range paths {
		first, _, _ := strings.Cut(strings.TrimPrefix(alias, "/"), "/")
		name := quoteName(alias)
		c.that(aliasPath.MatchString(alias) && path.Clean(alias) == alias, "token.aliases",
			"holds %s; expected a plain absolute path such as /api/1.0/token", name)
		c.that(!slices.Contains(ownPaths, first), "token.aliases",
			"holds %s, but the server serves /%s itself; choose another path", name, first)
		c.that(!belowIssuer(cfg.Issuer, alias), "token.aliases",
			"holds %s, which lies below the issuer's path; leave that path out, an alias is served below it too", name)
		c.that(slices.Index(paths, alias) == i, "token.aliases", "holds %s twice; keep one", name)
	}
	c.that(len(scopes) <= 16, "token.scope_aliases", "has %d names; at most 16 are taken", len(scopes))
	for i, alias := range scopes {
		c.that(scopeAlias.MatchString(alias), "token.scope_aliases",
			"holds %s; expected letters, digits, dot, dash and underscore, at most 64", quoteName(alias))
		c.that(slices.Index(scopes, alias) == i, "token.scope_aliases", "holds %s twice; keep one", quoteName(alias))
	}
}

// belowIssuer reports whether a path begins with that of the issuer, which is
// taken off a request's path before it is routed.
func belowIssuer(issuer, alias string) bool {
	u, err := url.Parse(issuer)
	return err == nil && u.Path != "" && strings.HasPrefix(alias, u.Path+"/")
}

// minMaxSize has room for any token that carries one privilege and one role.
const minMaxSize = 2000

// minRotateEvery keeps rotation by the clock within [svcauth.MaxPublishedKeys].
// A retired key stays until the last token that it may have signed is good
// nowhere, some 27 hours ([verify.LastExpiry], [verify.KeptUntil]), and there
// is room for eight of them.
const minRotateEvery = 4 * time.Hour

// Warnings returns what is allowed but seldom meant, one sentence each, for the
// log at start and for `svcauth config check`.
func (c Config) Warnings() (out []string) {
	if strings.HasPrefix(c.Issuer, "https://") && c.TLS.CertFile == "" && len(c.TrustedProxies) == 0 {
		out = append(out, "trusted_proxies is empty although a proxy ends TLS: every client seems to have the proxy's "+
			"address, and wrong secrets of one count against all; name the proxy's network")
	}
	if c.AllowInsecureListen && !httpx.Loopback(hostOf(c.Listen)) && !strings.HasPrefix(c.Issuer, "https://") {
		out = append(out,
			"allow_insecure_listen is on: secrets cross the network in the clear; use it for trials only")
	}
	if c.Ops.Listen != "" && !httpx.Loopback(hostOf(c.Ops.Listen)) {
		out = append(out,
			"ops.listen can be reached by others and asks for no authentication; keep it off the public network")
	}
	if c.CatalogAllowRemoval {
		out = append(out,
			"catalog_allow_removal is on: a privilege missing from the catalogue is taken from every role; "+
				"turn it off when the change is made")
	}
	return out
}
