package access

import (
	"net/netip"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/store"
)

// How many wrong passwords are borne, each within attemptWindow of the first: for one address from one network, from one network, and for one address from
// everywhere. The last one refuses only networks that have sent a wrong one themselves, so that nobody locks the owner out. Each node counts its own.
const (
	wrongPerPair    = 10
	wrongPerNetwork = 100
	wrongPerAddress = 100 // NIST SP 800-63B-4 §3.2.2
	attemptWindow   = 15 * time.Minute
	maxWindows      = 1 << 16
)

type attempts struct {
	mu      sync.Mutex
	windows map[attemptKey]attemptCount
}

// attemptKey is a pair, or a network (no address), or an address (no network).
type attemptKey struct {
	email   string
	network netip.Addr
}

type attemptCount struct {
	wrong int
	ends  time.Time
}

func newAttempts() *attempts { return &attempts{windows: map[attemptKey]attemptCount{}} }

func keysOf(email string, ip netip.Addr) (pair, network, address attemptKey) {
	email = store.NameKey(email)
	if len(email) > 254 {
		email = email[:254] // nobody has such an address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		ip = netip.PrefixFrom(ip, 64).Masked().Addr()
	}
	return attemptKey{email, ip}, attemptKey{"", ip}, attemptKey{email, netip.Addr{}}
}

// limited says for how long the next attempt is refused; 0: it is not. It counts nothing.
func (a *attempts) limited(email string, ip netip.Addr, now time.Time) time.Duration {
	pair, network, address := keysOf(email, ip)
	a.mu.Lock()
	defer a.mu.Unlock()
	ofPair, ofNetwork, ofAddress := a.count(pair, now), a.count(network, now), a.count(address, now)
	switch {
	case ofPair.wrong >= wrongPerPair:
		return ofPair.ends.Sub(now)
	case ofNetwork.wrong >= wrongPerNetwork:
		return ofNetwork.ends.Sub(now)
	case ofAddress.wrong >= wrongPerAddress && ofPair.wrong > 0:
		return ofAddress.ends.Sub(now)
	}
	return 0
}

func (a *attempts) fail(email string, ip netip.Addr, now time.Time) {
	pair, network, address := keysOf(email, ip)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.windows) > maxWindows-3 {
		a.makeRoom(now)
	}
	for _, k := range []attemptKey{pair, network, address} {
		c := a.count(k, now)
		c.wrong++
		a.windows[k] = c
	}
}

func (a *attempts) count(k attemptKey, now time.Time) attemptCount {
	if c, ok := a.windows[k]; ok && c.ends.After(now) {
		return c
	}
	return attemptCount{ends: now.Add(attemptWindow)}
}

// makeRoom forgets what is over, and where that is little some of the rest.
func (a *attempts) makeRoom(now time.Time) {
	for k, c := range a.windows {
		if !c.ends.After(now) {
			delete(a.windows, k)
		}
	}
	for k := range a.windows {
		if len(a.windows) <= maxWindows/2 {
			return
		}
		delete(a.windows, k)
	}
}
