package feed

import (
	"time"

	"github.com/svcauth/svcauth/internal/wire"
)

// What comes after a rest goes out at once. What comes soon after goes out
// together with all that has come by then: so a burst costs each stream a few
// writes, and each subscriber a few receipts. The longer a burst lasts, the more
// goes together: what revokes must not wait behind those who are told of it.
const (
	gatherLeast = 2 * time.Millisecond
	gatherMost  = 250 * time.Millisecond
	// For each stream, in the beginning and later. Giving a stream something
	// takes some 15 µs.
	gatherFirst = 20 * time.Microsecond
	gatherLater = 200 * time.Microsecond
)

// pace says from when on live streams may be given the next revocations, and be
// asked for the next receipts.
type pace struct {
	events, receipts time.Time
	gather           time.Duration // what lay before events
}

// given notes that so many streams were given something.
func (p *pace) given(now time.Time, streams int) {
	least := gatherFirst
	if now.Sub(p.events) < p.gather { // the burst goes on
		least = min(2*p.gather/time.Duration(max(1, streams)), gatherLater)
	}
	p.gather = min(max(gatherLeast, time.Duration(streams)*max(least, gatherFirst)), gatherMost)
	p.events = now.Add(p.gather)
}

// handOn gives live streams what is new and asks for the receipts that somebody
// waits for. It returns how long what is left must wait, or 0.
func (f *Feed) handOn(now time.Time) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys || len(f.after(f.fanned)) > 0 {
		if wait = f.pace.events.Sub(now); wait > 0 {
			return wait
		}
		f.fanOut()
		f.pace.given(now, len(f.streams))
	}
	if !f.isWanted() {
		return 0
	}
	if wait = f.pace.receipts.Sub(now); wait > 0 {
		return wait
	}
	asked := f.ask()
	f.pace.receipts = now.Add(time.Second * time.Duration(asked) / time.Duration(f.callers.receiptsPerSecond))
	return 0
}

// want has the subscribers that serve a scope asked for receipts, as soon as
// they were given the revocation with this cursor: nobody else should wait for
// the time at which they would send them unasked.
func (f *Feed) want(key string, cursor int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted[key] = max(f.wanted[key], cursor)
	f.signal()
}

// isWanted reports whether somebody waits for a revocation that live streams
// were given. f.mu is held.
func (f *Feed) isWanted() bool {
	for _, cursor := range f.wanted {
		if cursor <= f.head {
			return true
		}
	}
	return false
}

// ask asks those for receipts who serve the scopes that wait for what streams
// were given, and returns how many they are. f.mu is held.
func (f *Feed) ask() (asked int) {
	scopes := map[string]bool{}
	for key, cursor := range f.wanted {
		if cursor <= f.head {
			scopes[key] = true
			delete(f.wanted, key)
		}
	}
	event := wire.AppendEvent(nil, wire.EventConfirm, "", wire.NoData)
	for s := range f.streams {
		// The operator's serve everybody, see Scope.servedBy.
		if s.live && (s.Operator || scopes[s.key()]) {
			f.send(s, event)
			asked++
		}
	}
	return asked
}
