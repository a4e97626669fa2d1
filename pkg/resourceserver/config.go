package resourceserver

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config configures a [Verifier]. Issuer and Audience are required; every other
// field has a default.
type Config struct {
	// Issuer is the authorization server's issuer URL, compared byte for byte
	// with the token's iss and with the issuer in the server's metadata (RFC
	// 8414 §3.3). It must begin with https://, unless the host is a loopback
	// one, and must have no query and no fragment.
	Issuer string
	// Audience is this API's own identifier. A token is accepted if its aud
	// contains it.
	Audience string
	// AcceptTypJWT accepts tokens whose header says typ JWT, too. Set it if the
	// issuer's tokens for this API are such (a gateway before it, or another
	// library beside it, wants that), and only if the issuer signs nothing else
	// with its keys: RFC 9068 §4 demands at+jwt so that no ID token passes for
	// an access token. svcauth signs access tokens only. Default: at+jwt alone.
	AcceptTypJWT bool
	// Name is the name of this resource server in its metadata and at the
	// issuer: at most 128 printable ASCII characters. Default: Audience.
	Name string

	// HTTPClient makes every call to the issuer. Set it to trust a private CA,
	// for example. It is copied, and redirects are never followed. Default: a
	// new client.
	HTTPClient *http.Client
	// Timeout bounds each call to the issuer, except for a stream of the
	// revocation feed. Default: 10 seconds.
	Timeout time.Duration

	// Keys returns the keys that tokens are signed with. Default: the issuer's
	// published key set (JWKS), fetched over HTTP.
	Keys KeySource
	// KeyRefresh is how often the JWKS is fetched again, conditionally. It is
	// also fetched as soon as a streamed Feed tells that the keys have changed.
	// Default: 1 minute.
	KeyRefresh time.Duration
	// KeyCooldown is the minimum time between two fetches that are caused by
	// unknown key ids. Default: 30 seconds.
	KeyCooldown time.Duration

	// Feed says how to follow the issuer's revocation feed. Default: the feed
	// is not followed, and a token is valid until it expires.
	Feed *Feed
	// MaxStaleness is how long ago the set of revocations may last have been
	// known to be complete. It is used only with Feed. Default: 1 minute.
	MaxStaleness time.Duration
	// OnStale is what happens to requests if that was longer ago. It is used
	// only with Feed. Default: [Closed].
	OnStale OnStale

	// Leeway is how far the issuer's clock may differ from this one: exp, nbf
	// and iat are compared with that tolerance. It is at most 5 minutes.
	// Default: 30 seconds; negative: none.
	Leeway time.Duration
	// RememberTokens is how many verified tokens are remembered at most, so
	// that their signatures are checked only once. Each takes about 1.5 KiB.
	// Default: 32,768; negative: none.
	RememberTokens int

	// ExternalURL is the URL by which callers reach this API: scheme, host, and
	// the part of the path that a proxy takes away, if one does. Proofs of
	// tokens that are bound to a key (RFC 9449) must be for it. Behind a proxy,
	// and wherever callers use a host that is not the one in Audience, it must
	// be set. Default: the scheme and host of Audience, if that is such a URL,
	// and the address of the connection, if the request names just that. The
	// request's Host alone is never believed: an API that was sent a proof for
	// itself could use it here.
	ExternalURL string
	// ProofNonces is what is asked of proofs: a nonce, or none (RFC 9449 §9).
	// Default: [NoncesOff].
	ProofNonces ProofNonces
	// ProofNonceKey is a secret of at least 32 bytes by which nonces are made.
	// Instances with the same one know each other's. Default: a random one.
	ProofNonceKey []byte
	// RememberProofs is how many proofs are remembered, so that none is taken
	// twice by this instance: some 3,000 a second. Each takes about 40 bytes.
	// If more come, the organization that sends most has only those taken that
	// were made in the last seconds. Default: 262,144.
	RememberProofs int
	// SharedProofs is a memory that all instances of this API share, such as
	// that of package redisproofs, so that no proof is taken twice whichever
	// instance it is sent to. While it does not answer, each instance goes by
	// its own memory. Default: none, and a proof is taken once by each
	// instance.
	SharedProofs ProofMemory
	// ClientCertificate returns the certificate that a caller has shown in TLS,
	// or nil, for tokens that are bound to one (RFC 8705 §3). Set it where a
	// proxy ends TLS, to read what the proxy, and nobody else, can have
	// written. Default: the certificate of the request's own connection.
	ClientCertificate func(*http.Request) *x509.Certificate

	// ResourceMetadata is the URL at which [Verifier.MetadataHandler] is
	// served. It is sent as the resource_metadata parameter of challenges (RFC
	// 9728 §5.1). Default: no such parameter.
	ResourceMetadata string
	// Privileges are published as scopes_supported in the metadata (RFC 9728
	// §2).
	Privileges []string

	// Clock returns the time. Default: time.Now.
	Clock func() time.Time
	// Logger gets one line with the cause when keys or the feed can't be
	// fetched, also if they never could, and one when they can. It gets nothing
	// about tokens. Default: no log.
	Logger *slog.Logger

	revocations *verify.RevocationSet // filled by the feed; nil without one
	progress    *broadcast            // sends when keys or revocations have arrived
}

// ProofNonces is what is asked of the proofs of tokens that are bound to a key:
// a nonce, or none (RFC 9449 §9).
type ProofNonces string

const (
	// NoncesOff gives no nonces: a proof is taken for a minute by its iat.
	NoncesOff ProofNonces = ProofNonces(dpop.NonceOff)
	// NoncesOptional gives nonces, and demands one only of a caller whose clock
	// is wrong.
	NoncesOptional ProofNonces = ProofNonces(dpop.NonceOptional)
	// NoncesRequired demands a nonce in each proof, so that none can be made in
	// advance. A caller's first request is answered with
	// 401 and a nonce.
	NoncesRequired ProofNonces = ProofNonces(dpop.NonceRequired)
)

// minNonceKey is the least length of ProofNonceKey, in bytes.
const minNonceKey = 32

// OnStale is what happens to requests while the revocations have not been known
// to be complete for longer than MaxStaleness.
type OnStale int

const (
	// Closed refuses every request: 503 with Retry-After.
	Closed OnStale = iota
	// Introspect asks the issuer about each token (RFC 7662), and refuses with
	// 503 if it doesn't answer. Nothing is cached.
	Introspect
	// InsecureContinue goes on with the revocations that are known: a token
	// that was revoked since then is accepted until it expires.
	InsecureContinue
)

// KeySource returns the keys that tokens are signed with. The default one is
// the issuer's JWKS over HTTP.
type KeySource interface {
	// Key returns the key with this id, and the only algorithm (ES256, RS256 or
	// EdDSA) that it may be used with (RFC 8725 §3.1). It is called for every
	// token, including remembered ones, so that tokens of a withdrawn key are
	// refused. It must be fast and safe for concurrent use. If there is no such
	// key, it returns [ErrUnknownKey], and the token is refused. Any other
	// error means that keys are unavailable: 503.
	Key(ctx context.Context, kid string) (alg string, key crypto.PublicKey, err error)
}

// ErrUnknownKey is the error of a [KeySource] for a key id that the issuer does
// not have.
var ErrUnknownKey = verify.ErrUnknownKey

const (
	maxLeeway   = svcauth.MaxLeeway
	maxNameSize = wire.MaxName
)

// withDefaults returns the configuration with every default filled in, or one
// error that lists every fault.
func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		c.Name = untrusted.Quotable(c.Audience, maxNameSize)
	}
	c.Timeout = orDefault(c.Timeout, 10*time.Second)
	c.KeyRefresh = orDefault(c.KeyRefresh, time.Minute)
	c.KeyCooldown = orDefault(c.KeyCooldown, 30*time.Second)
	c.MaxStaleness = orDefault(c.MaxStaleness, time.Minute)
	faults := c.faults()
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
	if c.ProofNonces == "" {
		c.ProofNonces = NoncesOff
	}
	if c.RememberProofs <= 0 {
		c.RememberProofs = dpop.DefaultRemember
	}
	if c.ClientCertificate == nil {
		c.ClientCertificate = shownInTLS
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Feed != nil {
		feed, err := c.Feed.withDefaults(c.MaxStaleness)
		if err != nil {
			faults = append(faults, fmt.Errorf("Feed: %w", err))
		}
		c.Feed = feed
		if c.revocations == nil {
			c.revocations = verify.NewRevocationSet()
		}
	}
	if len(faults) > 0 {
		return c, fmt.Errorf("resourceserver: %w", errors.Join(faults...))
	}
	return c, nil
}

// faults returns what is wrong, but for the Feed.
func (c Config) faults() (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if err := httpx.CheckIssuer(c.Issuer); err != nil {
		fault("Issuer %w", err)
	}
	if c.Audience == "" {
		fault("Audience is empty; expected the URI by which the issuer knows this API")
	}
	if c.Name != untrusted.Quotable(c.Name, maxNameSize) {
		fault("Name: expected at most %d printable ASCII characters", maxNameSize)
	}
	if c.ExternalURL != "" {
		if err := httpx.CheckBase(c.ExternalURL); err != nil {
			fault("ExternalURL %w", err)
		}
	}
	if c.ProofNonces != "" && !slices.Contains(dpop.Modes(), dpop.Mode(c.ProofNonces)) {
		fault("ProofNonces is %q; expected off, optional or required", untrusted.Quotable(string(c.ProofNonces), 40))
	}
	if len(c.ProofNonceKey) > 0 && len(c.ProofNonceKey) < minNonceKey {
		fault("ProofNonceKey has %d bytes; expected at least %d random ones", len(c.ProofNonceKey), minNonceKey)
	}
	if c.Leeway > maxLeeway {
		fault("Leeway is %s; expected at most %s", timespan.Text(c.Leeway), timespan.Text(maxLeeway))
	}
	if c.OnStale < Closed || c.OnStale > InsecureContinue {
		fault("OnStale is %d; expected Closed, Introspect or InsecureContinue", c.OnStale)
	}
	if c.Feed == nil && c.OnStale != Closed {
		fault("OnStale is set but Feed is not; without a feed nothing can become stale")
	}
	return faults
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}
