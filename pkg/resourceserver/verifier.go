package resourceserver

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// Verifier checks tokens of one issuer for one audience. It is safe for concurrent
// use. [Verifier.Close] ends what it runs in the background.
type Verifier struct {
	cfg                      Config
	issuerText, audienceText string // fit for a quoted header parameter

	fetch  *fetcher
	disc   *discovery
	keys   KeySource
	memory *memory
	feed   *follower // nil if no feed is followed

	stop context.CancelFunc
	done sync.WaitGroup
}

// New returns a Verifier. It makes no call itself: keys and revocations are
// fetched in the background, again and again if the issuer does not answer, so
// that a resource server may start before its issuer. The error names every fault
// of the configuration.
func New(cfg Config) (*Verifier, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	v := &Verifier{cfg: cfg, issuerText: untrusted.Quotable(cfg.Issuer, 200), audienceText: untrusted.Quotable(cfg.Audience, 200), stop: stop}
	v.fetch = newFetcher(cfg.HTTPClient, cfg.FetchTimeout)
	v.disc = newDiscovery(cfg.Issuer, v.fetch, cfg.Clock)
	if v.memory, err = newMemory(cfg.RememberTokens); err != nil {
		stop()
		return nil, err
	}
	v.keys = cfg.Keys
	rekey := func() {}
	if v.keys == nil {
		remote := newRemoteKeys(ctx, cfg, v.fetch, v.disc)
		v.keys, rekey = remote, remote.changed
		v.done.Go(func() { remote.run(ctx) })
	}
	if cfg.Feed != nil {
		v.feed = newFollower(cfg, v.fetch, v.disc, rekey)
		v.done.Go(func() { v.feed.run(ctx) })
	}
	return v, nil
}

// Close stops following keys and revocations, and returns when all of it has
// ended. The Verifier must not be used afterwards.
func (v *Verifier) Close() error {
	v.stop()
	v.done.Wait()
	if v.fetch.own != nil {
		v.fetch.own.CloseIdleConnections()
	}
	return nil
}

// Nudge says that the issuer may have revoked something. A polled feed is then
// asked at once, but at most four times a second; a stream brings what is new by
// itself, and nothing happens. Nudge is for callers that hear of revocations in
// another way, which is fast but need not be trusted, such as subpackage redisfeed.
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
// principal. Every error is an [*Error]. The context bounds the wait for keys
// and, with [Introspect], for the issuer's answer; a remembered token waits for
// neither.
func (v *Verifier) Verify(ctx context.Context, token string) (*Principal, error) {
	if p, refusal := v.verify(ctx, token); refusal == nil {
		return p, nil
	} else {
		return nil, refusal
	}
}

func (v *Verifier) verify(ctx context.Context, token string) (*Principal, *Error) {
	if len(token) > maxTokenSize {
		return nil, tooLong()
	}
	id := v.memory.id(token)
	entry := v.recall(ctx, id)
	fresh := entry == nil
	if fresh {
		var refusal *Error
		if entry, refusal = v.check(ctx, token); refusal != nil {
			return nil, refusal
		}
	} else if !v.cfg.Clock().Before(entry.until) {
		v.memory.forget(id)
		return nil, expired()
	}
	if v.isRevoked(entry) {
		v.memory.forget(id)
		return nil, revoked()
	}
	if fresh {
		v.memory.keep(id, entry, v.cfg.Clock())
	}
	if v.feed != nil && v.feed.stale() {
		if refusal := v.whenStale(ctx, token); refusal != nil {
			return nil, refusal
		}
	}
	return entry.principal, nil
}

// recall returns a remembered token, if the issuer still has the very key that
// signed it.
func (v *Verifier) recall(ctx context.Context, id digest) *remembered {
	entry := v.memory.find(id)
	if entry == nil {
		return nil
	}
	if alg, key, err := v.keys.Key(ctx, entry.kid); err != nil || alg != entry.alg || !sameKey(key, entry.key) {
		v.memory.forget(id)
		return nil
	}
	return entry
}

// isRevoked asks the set only if it has grown since it was last asked about this
// token. The generation is read before the set, so that an entry added in between
// leads to one check too many, never to one too few.
func (v *Verifier) isRevoked(entry *remembered) bool {
	set := v.cfg.Revocations
	if set == nil {
		return false
	}
	generation := set.generation.Load()
	if entry.cleared.Load() == generation+1 {
		return false
	}
	if _, is := set.Revoked(&entry.principal.Claims); is {
		return true
	}
	entry.cleared.Store(generation + 1) // 0 is 'never asked'
	return false
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

// Ready returns nil once keys are there and, if a feed is followed, revocations
// have been read. If ctx is done before, the error wraps what is missing. Call it
// before serving, or with a short context from a readiness probe.
func (v *Verifier) Ready(ctx context.Context) error {
	for {
		err := v.missing()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return &Error{Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Description: "not ready", RetryAfter: retryAfter, Cause: err}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (v *Verifier) missing() error {
	if remote, is := v.keys.(*remoteKeys); is {
		if err := remote.missing(); err != nil {
			return err
		}
	}
	if v.feed != nil && v.feed.stale() {
		return v.feed.lastError()
	}
	return nil
}
