package remotekeys

import (
	"container/list"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/untrusted"
)

// Config is what [Keys] stand on.
type Config struct {
	// AllowedNetworks are special networks that may be called all the same.
	AllowedNetworks []netip.Prefix
	// Roots vouch for those who are called; nil: the system's.
	Roots *x509.CertPool

	Clock  func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: silence
}

// Source says whose keys are meant. If URL is empty, the metadata of the issuer
// names it (OpenID Connect Discovery 1.0 §4).
type Source struct{ Issuer, URL string }

func (s Source) name() string {
	if s.URL != "" {
		return s.URL
	}
	return s.Issuer
}

const (
	// again is how long nothing is asked of a source after it was asked: a key
	// id that nobody has must not lead to a fetch each time.
	again = 30 * time.Second
	// againEmpty is the same for a source of which there are no keys yet.
	againEmpty = 5 * time.Second
	// lastGood is how long keys are used while they can't be fetched anew.
	lastGood = 24 * time.Hour
)

// The bounds, of all organizations and of each. Who waits for a fetch costs a
// goroutine and the memory of its request.
const (
	maxSources    = 500 // in memory
	maxSourcesOf  = 50
	maxFetches    = 32 // at once
	maxFetchesOf  = 4
	keptFetches   = 4 // for the operator's organization
	maxWaiting    = 1000
	maxWaitingOf  = 100
	operatorWaits = 100
)

// fetchRate is how often an organization may have something fetched: as often
// as all its sources in memory, if none of them ever answers. Whoever has more
// pushes out its own, with when they were asked, and could have another's
// server asked as often as it likes.
var fetchRate = limits.Rate{
	PerSecond: float64(maxSourcesOf) / againEmpty.Seconds(), Burst: 2 * maxSourcesOf,
}

// Keys has the public keys of others, those in use in memory. It is safe for
// concurrent use.
type Keys struct {
	client  *http.Client
	network *network
	clock   func() time.Time
	logger  *slog.Logger
	fetches *limits.Shares[string]
	waiting *limits.Shares[string]
	rates   *limits.Rates[string]

	mu      sync.Mutex
	sources map[Source]*list.Element // of *source
	order   *list.List               // the one used last is at the front
	owned   map[string]int           // how many an organization has brought here
}

// source is what is known of one.
type source struct {
	of    Source
	owner string // the organization that asked for it first

	keys    []jwk.Verifier
	fresh   time.Time     // until when the keys are used without asking
	good    time.Time     // until when they are used at all
	tried   time.Time     // when it was last asked
	failed  error         // what went wrong then
	running chan struct{} // closed when the fetch that is under way is done; nil: none is
}

// New returns Keys that has none in memory.
func New(cfg Config) *Keys {
	n := &network{allowed: cfg.AllowedNetworks, lookup: net.DefaultResolver.LookupNetIP}
	k := &Keys{
		network: n, client: n.client(cfg.Roots), clock: cfg.Clock, logger: cfg.Logger,
		fetches: limits.NewShares[string](limits.Bound{Total: maxFetches, Each: maxFetchesOf, Reserved: keptFetches}),
		waiting: limits.NewShares[string](limits.Bound{Total: maxWaiting, Each: maxWaitingOf, Reserved: operatorWaits}),
		rates:   limits.NewRates[string](fetchRate, maxSources),
		sources: map[Source]*list.Element{}, order: list.New(), owned: map[string]int{},
	}
	if k.clock == nil {
		k.clock = time.Now
	}
	if k.logger == nil {
		k.logger = slog.New(slog.DiscardHandler)
	}
	return k
}

// errBusy is the error if too many wait already.
var errBusy = errors.New("too many fetches of keys are under way; try again in a moment")

// Get returns the keys of a source, for an organization; operator reports that
// it is the operator's. They are fetched if there are none, if they are old, or
// if none of them has the id kid; an empty kid is had by each. A source is
// asked by one fetch at a time and at most once in 30 seconds. While that
// fails, the last good keys are returned, for up to a day. If there are none,
// the error says why: it is fit for the source's own organization.
func (k *Keys) Get(ctx context.Context, orgID string, operator bool, of Source, kid string) ([]jwk.Verifier, error) {
	k.mu.Lock()
	s := k.find(of, orgID)
	now := k.clock()
	if !s.due(now, kid) {
		defer k.mu.Unlock()
		return s.known(now)
	}
	if s.running == nil {
		if !k.begin(orgID, operator, now) {
			defer k.mu.Unlock()
			return s.knownOrBusy(now)
		}
		s.running, s.tried = make(chan struct{}), now
		go k.run(s, orgID)
	}
	running := s.running
	if !k.waiting.Take(orgID, 1, operator) {
		defer k.mu.Unlock()
		return s.knownOrBusy(now)
	}
	k.mu.Unlock()
	defer k.waiting.Give(orgID, 1)
	limits.Release(ctx)
	select {
	case <-running:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return s.known(k.clock())
}

// begin takes a place for a fetch, and reports whether there was one.
func (k *Keys) begin(orgID string, operator bool, now time.Time) bool {
	if !k.fetches.Take(orgID, 1, operator) {
		return false
	}
	if k.rates.Allow(orgID, now) > 0 {
		k.fetches.Give(orgID, 1)
		return false
	}
	return true
}

// Need is for what the keys of a source would have to be fetched. Of several
// sources the one with the least need is the likeliest to have a key.
type Need int

// The needs.
const (
	NoNeed  Need = iota // they are in memory, or were asked for a moment ago
	Refresh             // the key is in memory, and old
	Search              // other keys are in memory: the source may have new ones
	Load                // none are
)

// InMemory returns the keys of a source if [Keys.Get] would return them without
// a fetch. The error is that of the fetch before, if there are none. It fetches
// nothing, and a source that nobody has asked for stays unknown.
func (k *Keys) InMemory(of Source, kid string) (keys []jwk.Verifier, need Need, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.sources[of]
	if e == nil {
		return nil, Load, nil
	}
	s, now := e.Value.(*source), k.clock()
	switch {
	case !s.due(now, kid):
		k.order.MoveToFront(e)
		keys, err = s.known(now)
		return keys, NoNeed, err
	case len(s.keys) == 0:
		return nil, Load, nil
	case s.has(kid):
		return nil, Refresh, nil
	}
	return nil, Search, nil
}

// due reports whether the source must be asked.
func (s *source) due(now time.Time, kid string) bool {
	switch {
	case s.running != nil:
		return !now.Before(s.fresh) || !s.has(kid)
	case len(s.keys) == 0:
		return now.Sub(s.tried) >= againEmpty || now.Before(s.tried)
	case now.Before(s.fresh) && s.has(kid):
		return false
	}
	return now.Sub(s.tried) >= again || now.Before(s.tried)
}

func (s *source) has(kid string) bool {
	return slices.ContainsFunc(s.keys, func(v jwk.Verifier) bool {
		return kid == "" || v.Kid == kid || v.Thumbprint == kid
	})
}

// known returns the keys, if they are still good.
func (s *source) known(now time.Time) ([]jwk.Verifier, error) {
	if len(s.keys) > 0 && now.Before(s.good) {
		return s.keys, nil
	}
	if s.failed == nil {
		return nil, errors.New("the keys have not been fetched yet")
	}
	return nil, s.failed
}

// knownOrBusy returns the keys for who finds no room to have them fetched.
func (s *source) knownOrBusy(now time.Time) ([]jwk.Verifier, error) {
	if keys, err := s.known(now); err == nil {
		return keys, nil
	}
	return nil, errBusy
}

// run asks a source. Nobody's request bounds it: others may wait for it too.
func (k *Keys) run(s *source, orgID string) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	got, err := k.fetch(ctx, s.of)
	k.fetches.Give(orgID, 1)
	k.mu.Lock()
	defer k.mu.Unlock()
	s.failed = err
	if err == nil {
		now := k.clock()
		s.keys, s.fresh, s.good = got.keys, now.Add(got.fresh), now.Add(max(got.fresh, lastGood))
	} else {
		k.logger.Warn("public keys of others could not be fetched", "from", logged(s.of.name()),
			"organization", orgID, "kept", len(s.keys), "error", err)
	}
	close(s.running)
	s.running = nil
}

// logged makes an address of a tenant's fit for a line of the log.
func logged(text string) string { return untrusted.Cut(untrusted.Line(text), maxError) }

// find returns what is known of a source, and makes room for a new one: an
// organization that brings many pushes out its own.
func (k *Keys) find(of Source, orgID string) *source {
	if e := k.sources[of]; e != nil {
		k.order.MoveToFront(e)
		return e.Value.(*source)
	}
	if k.owned[orgID] >= maxSourcesOf {
		k.drop(func(s *source) bool { return s.owner == orgID })
	} else if k.order.Len() >= maxSources {
		k.drop(func(*source) bool { return true })
	}
	s := &source{of: of, owner: orgID}
	k.sources[of] = k.order.PushFront(s)
	k.owned[orgID]++
	return s
}

// drop forgets the source that was used least lately of those that fit. Who
// waits for its fetch is answered all the same.
func (k *Keys) drop(fits func(*source) bool) {
	for e := k.order.Back(); e != nil; e = e.Prev() {
		s := e.Value.(*source)
		if !fits(s) {
			continue
		}
		k.order.Remove(e)
		delete(k.sources, s.of)
		if k.owned[s.owner]--; k.owned[s.owner] == 0 {
			delete(k.owned, s.owner)
		}
		return
	}
}
