package feed

import "time"

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

// pace says from when on live streams may be given the next revocations.
// Feed.mu guards it.
type pace struct {
	next   time.Time
	gather time.Duration // what lay before next
}

// given notes that so many streams were given something.
func (p *pace) given(now time.Time, streams int) {
	least := gatherFirst
	if now.Sub(p.next) < p.gather { // the burst goes on
		least = min(2*p.gather/time.Duration(max(1, streams)), gatherLater)
	}
	p.gather = min(max(gatherLeast, time.Duration(streams)*max(least, gatherFirst)), gatherMost)
	p.next = now.Add(p.gather)
}

// group is the live streams of one [Scope.key]. Each group has its own pace: the
// many streams of one organization, and a burst of its revocations, hold up
// nobody else's. [Feed.mu] guards it.
type group struct {
	pace
	streams map[*Stream]struct{}
	fanned  int64 // they were given every revocation up to here
	news    bool  // there are revocations for them after that
	beats   bool  // with these they hear that they have everything
}

// enliven adds a stream, which has everything, to its group.
func (f *Feed) enliven(s *Stream) {
	g := f.groups[s.key()]
	if g == nil {
		g = &group{streams: map[*Stream]struct{}{}, fanned: f.head}
		f.groups[s.key()] = g
	}
	s.live = true
	g.streams[s] = struct{}{}
}

// quiet takes a stream out of its group.
func (f *Feed) quiet(s *Stream) {
	s.live = false
	if g := f.groups[s.key()]; g != nil {
		if delete(g.streams, s); len(g.streams) == 0 {
			delete(f.groups, s.key())
		}
	}
}

// handOn gives live streams what is new and asks for the receipts that somebody
// waits for, as far as their pace allows. It returns how long what is left must
// wait, or 0.
func (f *Feed) handOn(now time.Time) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	waits := func(until time.Time) {
		if left := until.Sub(now); wait <= 0 || left < wait {
			wait = left
		}
	}
	due := map[string]*group{}
	for key, g := range f.groups {
		switch {
		case g.news && g.next.After(now):
			waits(g.next)
		case g.news:
			due[key] = g
		}
	}
	f.fanOut(now, due)
	for _, g := range due {
		g.given(now, len(g.streams))
	}
	if f.isWanted() && f.receiptsFrom.After(now) {
		waits(f.receiptsFrom)
	}
	return wait
}

// expected says that somebody will wait for what is about to be revoked in an
// organization.
type expected struct {
	orgID string
	by    int   // how many they are
	asked int64 // live streams were given everything up to here, and asked for receipts
}

// Expect says that somebody is about to revoke something in the scope's
// organization and will wait for its enforcement. Live streams are then asked
// for receipts together with what is revoked there, if receipts may come by
// then, which saves each a write. It changes nothing else. The caller calls done
// when it has waited, or if nothing was revoked.
func (f *Feed) Expect(scope Scope) (done func()) {
	key := scope.key()
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.expected[key]
	if e == nil {
		e = &expected{orgID: scope.OrgID}
		f.expected[key] = e
	}
	e.by++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if e.by--; e.by == 0 {
			delete(f.expected, key)
		}
	}
}

// want has the subscribers that serve a scope asked for receipts, as soon as
// they were given the revocation with this cursor: nobody else should wait for
// the time at which they would send them unasked. If they were asked as it was
// given to them, they are not asked again.
func (f *Feed) want(key string, cursor int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.expected[key]; e != nil && cursor <= e.asked {
		return
	}
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

// toAsk returns the scopes whose subscribers are to be asked for receipts now
// that some organizations' revocations were handed on: somebody waits there, or
// will and there is something new. They are none as long as no more receipts
// may come, nor of those who were not given everything. f.mu is held.
func (f *Feed) toAsk(now time.Time, fresh map[string]bool) (scopes map[string]bool) {
	if f.receiptsFrom.After(now) || f.lacks("") {
		return nil
	}
	scopes = map[string]bool{}
	for key, cursor := range f.wanted {
		if cursor <= f.head && !f.lacks(key) {
			scopes[key] = true
			delete(f.wanted, key)
		}
	}
	for key, e := range f.expected {
		if scopes[key] || fresh[e.orgID] && !f.lacks(key) {
			scopes[key], e.asked = true, f.head
		}
	}
	return scopes
}

// lacks reports whether live streams of a group were not given everything.
func (f *Feed) lacks(key string) bool { return f.groups[key] != nil && f.groups[key].news }
