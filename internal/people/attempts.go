package people

import (
	"net/netip"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// How many wrong passwords are borne, each within attemptWindow of the first:
// for one address from one network, from one network, and for one address from
// everywhere. The last one refuses only networks that have sent a wrong one
// themselves, so that nobody locks the owner out. Each node counts its own.
const (
	wrongPerPair    = 10
	wrongPerNetwork = 100
	wrongPerAddress = 100 // NIST SP 800-63B-4 §3.2.2
	attemptWindow   = 15 * time.Minute
	maxWindows      = 1 << 16
)

// cleanAtOnce is how many passwords from a network that has sent no wrong one
// may be on their way at once before the next ones wait like everybody's.
const cleanAtOnce = 4

// attempts counts wrong passwords and those that may turn out to be: an attempt
// counts from the moment it begins, so that many at once are no more than many
// in turn.
//
// Wrong client secrets are counted apart, in package cache, by other rules. A
// password takes tens of milliseconds to check, so attempts under way count
// too. It is guarded for its owner as well, from all networks together. And
// each node counts its own.
type attempts struct {
	mu      sync.Mutex
	windows map[attemptKey]attemptCount
}

// attemptKey is a pair, a network, or an address.
type attemptKey struct {
	kind    byte // p, n or a
	email   string
	network netip.Addr
}

type attemptCount struct {
	wrong, pending int
	ends           time.Time
}

// counted is an attempt that has begun: end says what came of it.
type counted struct {
	keys  [3]attemptKey
	ends  [3]time.Time // of the windows that it is counted in
	clean bool         // its network has sent no wrong password
}

func newAttempts() *attempts { return &attempts{windows: map[attemptKey]attemptCount{}} }

func keysOf(email string, ip netip.Addr) [3]attemptKey {
	email = svcauth.EmailKey(email)
	if len(email) > 254 {
		email = email[:254] // nobody has such an address
	}
	network := limits.NetworkOf(ip)
	return [3]attemptKey{{'p', email, network}, {'n', "", network}, {'a', email, netip.Addr{}}}
}

// begin counts one more attempt and returns 0, or, if that would be too many,
// counts nothing and returns when to try again.
func (a *attempts) begin(email string, ip netip.Addr, now time.Time) (counted, time.Duration) {
	c := counted{keys: keysOf(email, ip)}
	a.mu.Lock()
	defer a.mu.Unlock()
	pair, network, address := a.count(c.keys[0], now), a.count(c.keys[1], now), a.count(c.keys[2], now)
	switch {
	case pair.total() >= wrongPerPair:
		return c, pair.wait(wrongPerPair, now)
	case network.total() >= wrongPerNetwork:
		return c, network.wait(wrongPerNetwork, now)
	case address.total() >= wrongPerAddress && pair.total() > 0:
		return c, address.wait(wrongPerAddress, now)
	}
	c.clean = network.wrong == 0 && network.pending < cleanAtOnce
	if len(a.windows) > maxWindows-len(c.keys) {
		a.makeRoom(now)
	}
	for i, k := range c.keys {
		n := a.count(k, now)
		n.pending++
		a.windows[k], c.ends[i] = n, n.ends
	}
	return c, 0
}

// end says what came of an attempt. One that was not wrong leaves no trace.
func (a *attempts) end(c counted, wrong bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, k := range c.keys {
		n, ok := a.windows[k]
		if !ok || !n.ends.Equal(c.ends[i]) {
			continue // that window is over
		}
		n.pending--
		if wrong {
			n.wrong++
		}
		if a.windows[k] = n; n.total() == 0 {
			delete(a.windows, k)
		}
	}
}

func (a *attempts) count(k attemptKey, now time.Time) attemptCount {
	if c, ok := a.windows[k]; ok && c.ends.After(now) {
		return c
	}
	return attemptCount{ends: now.Add(attemptWindow)}
}

func (c attemptCount) total() int { return c.wrong + c.pending }

// wait returns when to try again: after the window, or, if attempts under way
// make it full, when they have been answered.
func (c attemptCount) wait(limit int, now time.Time) time.Duration {
	if c.wrong < limit {
		return time.Second
	}
	return c.ends.Sub(now)
}

// makeRoom forgets what is over and, if that is little, some of the rest:
// those first of whom least is known.
func (a *attempts) makeRoom(now time.Time) {
	for _, forget := range []func(attemptCount) bool{
		func(c attemptCount) bool { return !c.ends.After(now) },
		func(c attemptCount) bool { return c.total() <= 1 },
		func(attemptCount) bool { return true },
	} {
		for k, c := range a.windows {
			if len(a.windows) <= maxWindows/2 {
				return
			}
			if forget(c) {
				delete(a.windows, k)
			}
		}
	}
}
