package resourceserver

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config says whose tokens are accepted, and for whom. Issuer and Audience are required; all else has a default.
type Config struct {
	// Issuer is the authorization server's issuer URL, compared byte for byte with the token's iss and with the issuer in the server's
	// metadata (RFC 8414 §3.3). https, or http where the host is loopback. No query, no fragment.
	Issuer string
	// Audience is this API's own name. A token is accepted if its aud contains it.
	Audience string
	// AnyAudience accepts tokens whatever their audience. It is for the authorization server itself (introspection, RFC 7662); a resource server
	// that sets it accepts tokens that were meant for others (RFC 9068 §4).
	AnyAudience bool
	// Name is what this resource server is called in receipts and in its metadata: at most 128 printable ASCII characters. Default: Audience.
	Name string

	// HTTPClient makes every call to the issuer, for example with a private CA. It is copied; redirects are never followed. Default: a new client.
	HTTPClient *http.Client
	// FetchTimeout bounds each call for metadata, keys, introspection, one poll and one receipt. Default 10 s.
	FetchTimeout time.Duration

	// Keys gives the keys instead of the issuer's JWKS over HTTP.
	Keys KeySource
	// KeyRefresh is how often the JWKS is fetched again (conditionally); a streamed Feed also says when the keys changed, and they are fetched at once. Default 1 minute.
	KeyRefresh time.Duration
	// KeyCooldown is how often, at most, an unknown kid leads to a fetch out of turn. Default 30 s.
	KeyCooldown time.Duration

	// Revocations is consulted for every token. Default: none, or where Feed is set a new set that the feed fills.
	Revocations *RevocationSet
	// Feed follows the issuer's revocation feed. Default: not followed; a token then lives until it expires.
	Feed *Feed
	// MaxStaleness is how old the last proof that Revocations is complete may be. Only with Feed. Default 1 minute.
	MaxStaleness time.Duration
	// OnStale says what happens beyond MaxStaleness. Only with Feed. Default [Closed].
	OnStale OnStale

	// Leeway is how far the issuer's clock may differ from ours: exp, nbf and iat are compared with that tolerance. Default 30 s,
	// at most 5 minutes; negative: none.
	Leeway time.Duration
	// IssuedAhead is how far iat and nbf may lie ahead of our clock where that is not to be Leeway: for the issuer itself, which knows to the second when its tokens
	// expire but whose nodes have clocks of their own. At most 5 minutes.
	IssuedAhead time.Duration
	// RememberTokens bounds how many verified tokens are remembered, so that their signature is checked once. About 1.5 KiB each.
	// Default 32,768; negative: none.
	RememberTokens int

	// ResourceMetadata is the URL where [Verifier.MetadataHandler] is served, for the resource_metadata parameter of challenges
	// (RFC 9728 §5.1). Default: no such parameter.
	ResourceMetadata string
	// Privileges is published as scopes_supported in the metadata (RFC 9728 §2).
	Privileges []string

	// Clock gives the time. Default time.Now.
	Clock func() time.Time
	// Logger hears when keys or the feed are lost and found again, once each; never about a token. Default: silence.
	Logger *slog.Logger
}

// OnStale is what becomes of requests while the revocation feed has been silent for longer than MaxStaleness.
type OnStale int

const (
	// Closed refuses: 503 with Retry-After.
	Closed OnStale = iota
	// Introspect asks the issuer about each token (RFC 7662), and refuses with 503 where it does not answer. Nothing is cached.
	Introspect
	// InsecureContinue goes on with what was last known: a token revoked since then is accepted until it expires.
	InsecureContinue
)

// KeySource gives the key that a token names. Two exist: the issuer's JWKS over HTTP, and the issuer's own keyring in its own process.
type KeySource interface {
	// Key returns the key with this id and the one algorithm (ES256, RS256 or EdDSA) it may be used with (RFC 8725 §3.1). It is called
	// for every token, also a remembered one, so that a key that was withdrawn takes its tokens along; it must be fast and safe for
	// concurrent use. [ErrUnknownKey]: there is no such key, the token is refused. Any other error: keys are unavailable, 503.
	Key(ctx context.Context, kid string) (alg string, key crypto.PublicKey, err error)
}

// ErrUnknownKey is what a [KeySource] returns for a kid that the issuer does not have.
var ErrUnknownKey = errors.New("the issuer has no key with this id")

const (
	maxLeeway   = svcauth.MaxLeeway
	maxNameSize = 128
)

// withDefaults returns the configuration with every default filled in, or all faults at once.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if err := checkURL(c.Issuer); err != nil {
		fault("Issuer: %w", err)
	}
	if c.Audience == "" {
		fault("Audience is empty; expected the URI by which the issuer knows this API")
	}
	if c.Name == "" {
		c.Name = printable(c.Audience, maxNameSize)
	}
	if c.Name != printable(c.Name, maxNameSize) {
		fault("Name: expected at most %d printable ASCII characters", maxNameSize)
	}
	if c.Leeway > maxLeeway {
		fault("Leeway is %v; expected at most %v", c.Leeway, maxLeeway)
	}
	if c.IssuedAhead < 0 || c.IssuedAhead > maxLeeway {
		fault("IssuedAhead is %v; expected at most %v", c.IssuedAhead, maxLeeway)
	}
	if c.OnStale < Closed || c.OnStale > InsecureContinue {
		fault("OnStale is %d; expected Closed, Introspect or InsecureContinue", c.OnStale)
	}
	c.FetchTimeout = orDefault(c.FetchTimeout, 10*time.Second)
	c.KeyRefresh = orDefault(c.KeyRefresh, time.Minute)
	c.KeyCooldown = orDefault(c.KeyCooldown, 30*time.Second)
	c.MaxStaleness = orDefault(c.MaxStaleness, time.Minute)
	switch {
	case c.Leeway == 0:
		c.Leeway = svcauth.DefaultLeeway
	case c.Leeway < 0:
		c.Leeway = 0
	}
	c.IssuedAhead = orDefault(c.IssuedAhead, c.Leeway)
	if c.RememberTokens == 0 {
		c.RememberTokens = 32768
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Feed != nil {
		feed, err := c.Feed.withDefaults(c.MaxStaleness)
		if err != nil {
			fault("Feed: %w", err)
		}
		c.Feed = feed
		if c.Revocations == nil {
			c.Revocations = NewRevocationSet()
		}
	} else if c.OnStale != Closed {
		fault("OnStale is set but Feed is not; without a feed nothing can become stale")
	}
	if len(faults) > 0 {
		return c, fmt.Errorf("resourceserver: %w", errors.Join(faults...))
	}
	return c, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// checkURL accepts an absolute URL that is https, or http on loopback, without user, query and fragment.
func checkURL(s string) error {
	if s == "" {
		return errors.New("it is empty; expected a URL such as https://auth.example.com")
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(s, "?#") {
		return fmt.Errorf("%q is no URL of the form https://host/path, without query and fragment", printable(s, 200))
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%q: expected https (http only where the host is loopback)", printable(s, 200))
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// printable cuts s to size and replaces what may not stand in a quoted header parameter (RFC 6750 §3) by a question mark.
func printable(s string, size int) string {
	if len(s) > size {
		s = s[:size]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
}
