package resourceserver

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config says whose tokens are accepted, and for whom. Issuer and Audience are
// required; all else has a default.
type Config struct {
	// Issuer is the authorization server's issuer URL, compared byte for byte
	// with the token's iss and with the issuer in the server's metadata (RFC
	// 8414 §3.3). It must begin with https://, unless the host is a loopback
	// one, and must have no query and no fragment.
	Issuer string
	// Audience is this API's own name. A token is accepted if its aud contains it.
	Audience string
	// Name is what this resource server is called in its metadata and at the
	// issuer: at most 128 printable ASCII characters. Default: Audience.
	Name string

	// HTTPClient makes every call to the issuer, for example with a private CA.
	// It is copied; redirects are never followed. Default: a new client.
	HTTPClient *http.Client
	// Timeout bounds each call for metadata, keys or introspection, each
	// poll and each receipt. Default: 10 seconds.
	Timeout time.Duration

	// Keys returns the keys, instead of the issuer's JWKS over HTTP.
	Keys KeySource
	// KeyRefresh is how often the JWKS is fetched again, conditionally. A
	// streamed Feed also says when the keys have changed; then they are fetched
	// at once. Default: 1 minute.
	KeyRefresh time.Duration
	// KeyCooldown is the least time between two fetches that an unknown kid
	// leads to. Default: 30 seconds.
	KeyCooldown time.Duration

	// Feed follows the issuer's revocation feed. Default: it is not followed; a
	// token is then valid until it expires.
	Feed *Feed
	// MaxStaleness is how old the last proof may be that all revocations are
	// known. Only with Feed. Default: 1 minute.
	MaxStaleness time.Duration
	// OnStale says what happens beyond MaxStaleness. Only with Feed. Default:
	// [Closed].
	OnStale OnStale

	// Leeway is how far the issuer's clock may differ from this one: exp, nbf and
	// iat are compared with that tolerance, of at most 5 minutes. Default: 30
	// seconds; negative: none.
	Leeway time.Duration
	// RememberTokens bounds how many verified tokens are remembered, so that
	// their signatures are checked once. Each takes about 1.5 KiB. Default:
	// 32,768; negative: none.
	RememberTokens int

	// ResourceMetadata is the URL at which [Verifier.MetadataHandler] is served,
	// for the resource_metadata parameter of challenges (RFC 9728 §5.1). Default:
	// no such parameter.
	ResourceMetadata string
	// Privileges is published as scopes_supported in the metadata (RFC 9728 §2).
	Privileges []string

	// Clock returns the time. Default: time.Now.
	Clock func() time.Time
	// Logger gets one line when keys or the feed are lost, and one when they are
	// back; nothing about tokens. Default: no log.
	Logger *slog.Logger

	revocations *verify.RevocationSet // what the feed fills; nil without one
	progress    *broadcast            // keys or revocations have come
}

// OnStale says what becomes of requests while the revocation feed has been silent
// for longer than MaxStaleness.
type OnStale int

const (
	// Closed refuses: 503 with Retry-After.
	Closed OnStale = iota
	// Introspect asks the issuer about each token (RFC 7662), and refuses with
	// 503 if it does not answer. Nothing is cached.
	Introspect
	// InsecureContinue goes on with what was last known: a token revoked since
	// then is accepted until it expires.
	InsecureContinue
)

// KeySource returns the key that a token names. By default it is the issuer's
// JWKS over HTTP.
type KeySource interface {
	// Key returns the key with this id, and the one algorithm (ES256, RS256 or
	// EdDSA) that it may be used with (RFC 8725 §3.1). It is called for every
	// token, remembered ones included, so that tokens of a withdrawn key are
	// refused; it must be fast and safe for concurrent use. [ErrUnknownKey] if
	// there is no such key: the token is refused. Any other error means that
	// keys are unavailable: 503.
	Key(ctx context.Context, kid string) (alg string, key crypto.PublicKey, err error)
}

// ErrUnknownKey is what a [KeySource] returns for a kid that the issuer does not
// have.
var ErrUnknownKey = verify.ErrUnknownKey

const (
	maxLeeway   = svcauth.MaxLeeway
	maxNameSize = 128
)

// withDefaults returns the configuration with every default filled in, or one
// error with all faults.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if err := httpx.CheckIssuer(c.Issuer); err != nil {
		fault("Issuer %w", err)
	}
	if c.Audience == "" {
		fault("Audience is empty; expected the URI by which the issuer knows this API")
	}
	if c.Name == "" {
		c.Name = untrusted.Quotable(c.Audience, maxNameSize)
	}
	if c.Name != untrusted.Quotable(c.Name, maxNameSize) {
		fault("Name: expected at most %d printable ASCII characters", maxNameSize)
	}
	if c.Leeway > maxLeeway {
		fault("Leeway is %v; expected at most %v", c.Leeway, maxLeeway)
	}
	if c.OnStale < Closed || c.OnStale > InsecureContinue {
		fault("OnStale is %d; expected Closed, Introspect or InsecureContinue", c.OnStale)
	}
	c.Timeout = orDefault(c.Timeout, 10*time.Second)
	c.KeyRefresh = orDefault(c.KeyRefresh, time.Minute)
	c.KeyCooldown = orDefault(c.KeyCooldown, 30*time.Second)
	c.MaxStaleness = orDefault(c.MaxStaleness, time.Minute)
	switch {
	case c.Leeway == 0:
		c.Leeway = svcauth.DefaultLeeway
	case c.Leeway < 0:
		c.Leeway = 0
	}
	if c.RememberTokens == 0 {
		c.RememberTokens = verify.DefaultRemember
	}
	c.progress = newBroadcast()
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
		if c.revocations == nil {
			c.revocations = verify.NewRevocationSet()
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
