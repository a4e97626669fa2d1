package resourceserver

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// remoteKeys is the issuer's JWKS, fetched over HTTP. There is at most one
// fetch at a time, and the last good set is kept while the issuer can't be
// reached.
type remoteKeys struct {
	life     context.Context // of the Verifier; a fetch serves all requests, so none may end it
	fetch    *fetcher
	disc     *discovery
	clock    func() time.Time
	log      *slog.Logger
	refresh  time.Duration
	cooldown time.Duration
	stale    chan struct{} // the issuer told that its keys changed
	progress *broadcast    // sends after each fetch

	set atomic.Pointer[jwk.Set] // the last good one; nil before the first

	mu       sync.Mutex
	flight   *flight // the fetch that is under way
	etag     string
	missedAt time.Time // when an unknown kid last led to a fetch
	failedAt time.Time
	failure  error // of the last fetch; nil: it succeeded
}

// flight is one fetch, for everybody who waits for it.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// maxKeys leaves room for later servers, which may publish more keys.
const maxKeys = 10 * svcauth.MaxPublishedKeys

// failPause is how long no request leads to another fetch after one failed.
const failPause = time.Second

var errNoKeysYet = errors.New("the issuer's keys have not been fetched yet")

func newRemoteKeys(life context.Context, cfg Config, fetch *fetcher, disc *discovery) *remoteKeys {
	return &remoteKeys{
		life:     life,
		fetch:    fetch,
		disc:     disc,
		clock:    cfg.Clock,
		log:      cfg.Logger,
		refresh:  cfg.KeyRefresh,
		cooldown: cfg.KeyCooldown,
		stale:    make(chan struct{}, 1),
		progress: cfg.progress,
	}
}

// Key implements [KeySource].
func (k *remoteKeys) Key(ctx context.Context, kid string) (string, crypto.PublicKey, error) {
	if alg, key, ok := k.set.Load().Find(kid); ok {
		return alg, key, nil
	}
	f, err := k.missed(kid)
	if err != nil {
		return "", nil, err
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
	if alg, key, ok := k.set.Load().Find(kid); ok {
		return alg, key, nil
	}
	if f.err != nil {
		return "", nil, f.err
	}
	return "", nil, ErrUnknownKey
}

// missed decides what an unknown key id leads to: a fetch, which may be under
// way already, or an error at once.
func (k *remoteKeys) missed(kid string) (*flight, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	set, now := k.set.Load(), k.clock()
	if _, _, ok := set.Find(kid); ok { // fetched since we looked
		landed := &flight{done: make(chan struct{})}
		close(landed.done)
		return landed, nil
	}
	if k.flight != nil {
		return k.flight, nil
	}
	if k.failure != nil && now.Sub(k.failedAt) < failPause {
		return nil, k.failure
	}
	if set != nil {
		if !k.missedAt.IsZero() && now.Sub(k.missedAt) < k.cooldown {
			if k.failure != nil { // it may be a new key that can't be fetched
				return nil, k.failure
			}
			return nil, ErrUnknownKey
		}
		k.missedAt = now
	}
	return k.depart(), nil
}

// depart starts a fetch. The caller holds mu.
func (k *remoteKeys) depart() *flight {
	f := &flight{done: make(chan struct{})}
	k.flight = f
	etag := k.etag
	go func() {
		set, newTag, err := k.load(etag)
		k.land(f, set, newTag, err)
	}()
	return f
}

func (k *remoteKeys) land(f *flight, set *jwk.Set, etag string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && set != nil { // nil: not modified
		k.set.Store(set)
		k.etag = etag
	}
	if err != nil {
		if k.failure == nil && k.life.Err() == nil {
			k.log.Warn(
				"the issuer's keys can't be fetched; trying again quietly",
				"error", err, "have_last_good", k.set.Load() != nil,
			)
		}
		err = fmt.Errorf("fetch the issuer's keys: %w", err)
		k.failedAt = k.clock()
	} else if k.failure != nil {
		k.log.Info("the issuer's keys are fetched again")
	}
	k.failure, f.err = err, err
	k.flight = nil
	close(f.done)
	k.progress.send()
}

func (k *remoteKeys) load(etag string) (*jwk.Set, string, error) {
	m, err := k.disc.get(k.life, false)
	if err != nil {
		return nil, "", err
	}
	a, err := k.fetch.get(k.life, m.JWKSURI, etag, jwk.MaxSetSize, "application/json", "application/jwk-set+json")
	if err != nil { // has it moved?
		again, discErr := k.disc.get(k.life, true)
		if discErr != nil || again.JWKSURI == m.JWKSURI {
			return nil, "", err
		}
		if a, err = k.fetch.get(
			k.life, again.JWKSURI, "", jwk.MaxSetSize, "application/json", "application/jwk-set+json",
		); err != nil {
			return nil, "", err
		}
	}
	if a.unchanged {
		return nil, etag, nil
	}
	set, err := jwk.ParseSet(a.body, maxKeys)
	return set, a.etag, err
}

// changed tells that the issuer's keys have changed. It doesn't block, and
// several calls may lead to one fetch.
func (k *remoteKeys) changed() {
	select {
	case k.stale <- struct{}{}:
	default:
	}
}

// settled is how long after a change the set is fetched once more: the first
// fetch may have been answered by a node of the issuer that had not heard of
// the change.
const settled = 3 * time.Second

// keysBackoff is how long to wait before a failed fetch is repeated.
var keysBackoff = httpx.Backoff{First: time.Second, Most: 30 * time.Second}

// run fetches the keys at once, when they have changed, and every KeyRefresh.
// After a failure it tries again after a growing pause.
func (k *remoteKeys) run(ctx context.Context) {
	failures := 0
	for fresh := false; ; {
		err := k.fly(fresh)
		if ctx.Err() != nil {
			return
		}
		wait := k.refresh - time.Duration(rand.Int64N(int64(k.refresh)/10+1)) // a little early, not all at once
		if fresh {
			wait = min(wait, settled)
		}
		if failures++; err == nil {
			failures = 0
		} else {
			wait = min(wait, keysBackoff.Wait(failures, 0))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			fresh = fresh && err != nil // a change is still to be fetched
		case <-k.stale:
			timer.Stop()
			fresh = true
		}
	}
}

// fly fetches the keys and waits for the end. If fresh is set, it doesn't rely
// on a fetch that is under way: that may have been answered before the change.
func (k *remoteKeys) fly(fresh bool) error {
	for {
		k.mu.Lock()
		f, ours := k.flight, false
		if f == nil {
			f, ours = k.depart(), true
		}
		k.mu.Unlock()
		<-f.done // ends in time: its calls have deadlines
		if ours || !fresh {
			return f.err
		}
	}
}

func (k *remoteKeys) missing() error {
	if k.set.Load() != nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failure != nil {
		return k.failure
	}
	return errNoKeysYet
}

// sleep waits for d. It returns false if ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
