package resourceserver

import (
	"context"
	"fmt"
	"sync"

	"github.com/svcauth/svcauth/internal/verify"
)

// Verifier checks tokens of one issuer for one audience. Make one with [New].
// It is safe for concurrent use. [Verifier.Close] ends its background work.
type Verifier struct {
	cfg   Config
	core  *verify.Verifier
	bound *boundTokens
	fetch *fetcher
	disc  *discovery
	keys  *remoteKeys // nil if Config.Keys is set
	feed  *subscriber // nil without Config.Feed

	stop context.CancelFunc
	done sync.WaitGroup
}

// New returns a Verifier. It makes no call itself: keys and revocations are
// fetched in the background, and again until the issuer answers, so that a
// resource server may start before its issuer. The error lists every fault of
// the configuration.
func New(cfg Config) (*Verifier, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	v := &Verifier{cfg: cfg, fetch: newFetcher(cfg.HTTPClient, cfg.Timeout), stop: stop}
	v.disc = newDiscovery(cfg.Issuer, v.fetch, cfg.Clock)
	keysChanged := func() {}
	if cfg.Keys == nil {
		v.keys = newRemoteKeys(ctx, cfg, v.fetch, v.disc)
		cfg.Keys, keysChanged = v.keys, v.keys.changed
	}
	if v.core, err = verify.New(verify.Config{
		Issuer:      cfg.Issuer,
		Audience:    cfg.Audience,
		TypJWT:      cfg.AcceptTypJWT,
		Keys:        cfg.Keys,
		Revocations: cfg.revocations,
		Leeway:      cfg.Leeway,
		IssuedAhead: cfg.Leeway,
		Remember:    cfg.RememberTokens,
		Clock:       cfg.Clock,
	}); err != nil {
		stop()
		return nil, fmt.Errorf("resourceserver: %w", err)
	}
	v.bound = newBoundTokens(cfg)
	if v.keys != nil {
		v.done.Go(func() { v.keys.run(ctx) })
	}
	if cfg.Feed != nil {
		v.feed = newSubscriber(cfg, v.fetch, v.disc, keysChanged)
		v.done.Go(func() { v.feed.run(ctx) })
	}
	return v, nil
}

// Close ends the background work and returns when all of it has ended. The
// Verifier must not be used afterwards.
func (v *Verifier) Close() error {
	v.stop()
	v.done.Wait()
	if v.fetch.own != nil {
		v.fetch.own.CloseIdleConnections()
	}
	return nil
}

// Nudge says that the issuer may have revoked something. A feed that is polled
// is then polled at once, but at most four times a second. If the feed is read
// as a stream, Nudge does nothing. It is for callers that learn of revocations
// in another way, which is fast but need not be trusted, such as package
// redisfeed.
func (v *Verifier) Nudge() {
	if v.feed == nil {
		return
	}
	select {
	case v.feed.news <- struct{}{}:
	default:
	}
}

// Verify checks a token as RFC 9068 §4 and RFC 8725 require, and returns its
// principal. It refuses a token that is bound to a key or a certificate, since
// the token alone proves nothing: [Verifier.Authenticate] sees the whole
// request. Every error is an [*Error]. The context bounds the wait for keys
// and, with [Introspect], for the issuer's answer. A remembered token needs no
// wait for keys.
func (v *Verifier) Verify(ctx context.Context, token string) (*Principal, error) {
	claims, err := v.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if claims.Bound() {
		return nil, boundAlone(claims)
	}
	return (*Principal)(claims), nil
}

// verify checks a token, but not what it is bound to. An error is an [*Error].
func (v *Verifier) verify(ctx context.Context, token string) (*verify.Claims, error) {
	claims, err := v.core.Verify(ctx, token)
	if refusal, ok := err.(*verify.Error); ok { //nolint:errorlint // the core returns nothing else
		return nil, (*Error)(refusal)
	}
	if v.feed != nil && v.feed.stale() {
		if refusal := v.whenStale(ctx, token); refusal != nil {
			return nil, refusal
		}
	}
	return claims, nil
}

func (v *Verifier) whenStale(ctx context.Context, token string) *Error {
	switch v.cfg.OnStale {
	case InsecureContinue:
		return nil
	case Introspect:
		return v.introspect(ctx, token)
	default:
		return unavailable("revocations could not be followed for too long; ask again later", v.feed.lastError())
	}
}

// Ready returns nil as soon as keys have been fetched and, with Config.Feed,
// revocations have been read. If ctx is done before that, the error wraps what
// is missing. Call it before serving, or with a short context from a readiness
// probe.
func (v *Verifier) Ready(ctx context.Context) error {
	for {
		progress := v.cfg.progress.next()
		err := v.missing()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return unavailable("not ready", err)
		case <-progress:
		}
	}
}

func (v *Verifier) missing() error {
	if v.keys != nil {
		if err := v.keys.missing(); err != nil {
			return err
		}
	}
	if v.feed != nil && v.feed.stale() {
		return v.feed.lastError()
	}
	return nil
}
