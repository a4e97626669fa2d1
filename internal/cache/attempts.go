package cache

import (
	"container/list"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
)

// How many counters are kept, of about 300 bytes each. If more are needed,
// those whose window began first are dropped. Pairs and addresses are apart, so
// that an address that tries many clients can't push out the counters of
// addresses.
const (
	maxPairs     = 1 << 16
	maxAddresses = 1 << 15
	maxChanged   = 1 << 12 // those waiting for Redis; one more stays this node's until it fails again
)

// attempts counts wrong secrets in memory. It decides by what this process
// knows: its own failures and, with Redis, those of the other nodes as far as
// [sharedAttempts] has read them.
//
// Wrong passwords are counted apart, in package people, by other rules: a
// secret is checked in microseconds and counted only if it is wrong, and the
// nodes add their counts up.
type attempts struct {
	cfg    Config
	shared bool // sharedAttempts takes what is in changed

	mu        sync.Mutex
	pairs     windows[pair]
	addresses windows[netip.Addr]
	changed   []*window // with failures that the other nodes don't know yet
}

type pair struct {
	client string
	addr   netip.Addr
}

// window counts the failures of one pair, or of one address, from the first
// until it ends.
type window struct {
	pair    // of an address's window, only addr is set
	ofPair  bool
	ends    time.Time
	here    int  // failures on this node
	others  int  // on the other nodes, when last heard
	waiting bool // is in changed
}

// count never falls below what was seen here, even if Redis has forgotten it.
func (w *window) count() int { return w.here + w.others }

func newAttempts(cfg Config) *attempts {
	return &attempts{cfg: cfg, shared: cfg.URL != "",
		pairs: newWindows[pair](maxPairs), addresses: newWindows[netip.Addr](maxAddresses)}
}

// Fail counts a wrong proof, or an unknown client id, from addr. Against this
// client from this address it counts as n: as many signatures as were checked
// for it, and one for a secret. Against the address, which others may share, it
// counts as one. limited is true if that was too many: of WrongPerClient or of
// WrongPerAddress. Then retryAfter is how long the window still lasts. IPv6
// addresses are counted by /64, and IPv4 addresses inside IPv6 as IPv4. It
// never waits.
func (c *Cache) Fail(clientID string, addr netip.Addr, n int) (retryAfter time.Duration, limited bool) {
	return c.attempts.fail(clientID, addr, n)
}

// FailUnjudged counts a proof from addr that could not be judged. limited and
// retryAfter are as [Cache.Fail] returns them for wrong ones, so that nobody
// can tell the two apart; but it leads to nothing else, and [Cache.Limited]
// does not know of it.
func (c *Cache) FailUnjudged(clientID string, addr netip.Addr) (retryAfter time.Duration, limited bool) {
	a, p := c.attempts, pair{shortID(clientID) + "\x00unjudged", limits.NetworkOf(addr)}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.cfg.Clock()
	w := a.openPair(p, now)
	a.add(w, 1)
	return a.verdict(w, nil, now)
}

func (a *attempts) fail(clientID string, addr netip.Addr, n int) (time.Duration, bool) {
	p := pair{shortID(clientID), limits.NetworkOf(addr)}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.cfg.Clock()
	ofPair := a.openPair(p, now)
	ofAddress := a.addresses.open(p.addr, now, a.cfg.Window)
	ofAddress.addr = p.addr
	a.add(ofPair, n)
	a.add(ofAddress, 1)
	return a.verdict(ofPair, ofAddress, now)
}

func (a *attempts) openPair(p pair, now time.Time) *window {
	w := a.pairs.open(p, now, a.cfg.Window)
	w.pair, w.ofPair = p, true
	return w
}

// Limited reports whether as many wrong proofs as there may be have come: of
// this client from this address, or from this address. Then retryAfter is how
// long the window still lasts. It counts nothing, and never waits.
func (c *Cache) Limited(clientID string, addr netip.Addr) (retryAfter time.Duration, limited bool) {
	return c.attempts.limited(clientID, addr)
}

func (a *attempts) limited(clientID string, addr netip.Addr) (retryAfter time.Duration, limited bool) {
	p := pair{shortID(clientID), limits.NetworkOf(addr)}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.cfg.Clock()
	if w := a.pairs.find(p, now); w != nil && w.count() >= a.cfg.WrongPerClient {
		retryAfter = w.ends.Sub(now)
	}
	if w := a.addresses.find(p.addr, now); w != nil && w.count() >= a.cfg.WrongPerAddress {
		retryAfter = max(retryAfter, w.ends.Sub(now))
	}
	return retryAfter, retryAfter > 0
}

func (a *attempts) add(w *window, n int) {
	w.here += n
	if a.shared && !w.waiting && len(a.changed) < maxChanged {
		w.waiting = true
		a.changed = append(a.changed, w)
	}
}

func (a *attempts) verdict(ofPair, ofAddress *window, now time.Time) (retryAfter time.Duration, limited bool) {
	if ofPair.count() > a.cfg.WrongPerClient {
		retryAfter = ofPair.ends.Sub(now)
	}
	if ofAddress != nil && ofAddress.count() > a.cfg.WrongPerAddress {
		retryAfter = max(retryAfter, ofAddress.ends.Sub(now))
	}
	return retryAfter, retryAfter > 0
}

// shortID keeps an overlong id that a stranger sent from filling the memory.
func shortID(clientID string) string {
	if len(clientID) <= 64 {
		return clientID
	}
	sum := sha256.Sum256([]byte(clientID))
	return string(sum[:])
}

// windows keeps at most limit windows, in order with the oldest first.
type windows[K comparable] struct {
	limit int
	byKey map[K]*list.Element // of *keyedWindow[K]
	order *list.List
}

type keyedWindow[K comparable] struct {
	window
	key K
}

func newWindows[K comparable](limit int) windows[K] {
	return windows[K]{limit, map[K]*list.Element{}, list.New()}
}

// find returns the window of key that has not ended, or nil.
func (w *windows[K]) find(key K, now time.Time) *window {
	if e := w.byKey[key]; e != nil {
		if k := e.Value.(*keyedWindow[K]); k.ends.After(now) {
			return &k.window
		}
	}
	return nil
}

// open returns the current window of key, a new one if there is none.
func (w *windows[K]) open(key K, now time.Time, length time.Duration) *window {
	if found := w.find(key, now); found != nil {
		return found
	}
	if ended := w.byKey[key]; ended != nil {
		w.drop(ended)
	}
	for first := w.order.Front(); first != nil; first = w.order.Front() {
		if len(w.byKey) < w.limit && first.Value.(*keyedWindow[K]).ends.After(now) {
			break
		}
		w.drop(first)
	}
	k := &keyedWindow[K]{window{ends: now.Add(length)}, key}
	w.byKey[key] = w.order.PushBack(k)
	return &k.window
}

func (w *windows[K]) drop(e *list.Element) {
	delete(w.byKey, e.Value.(*keyedWindow[K]).key)
	w.order.Remove(e)
}
