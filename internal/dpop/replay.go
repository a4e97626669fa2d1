package dpop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// remembered is for how long a proof could be taken again: from the earliest
// moment at which it can be used to the latest.
const remembered = max(maxAge+maxAhead, (oldSteps+3)*step)

const (
	// DefaultRemember is how many proofs are remembered, if a configuration
	// does not say otherwise: some 3,000 a second, in some 10 MB.
	DefaultRemember = 1 << 18

	maxOwners  = 1 << 12
	tooSoon    = 8 // of what is not over, a share forgets one in so many at a time
	sweepEvery = int64(time.Second / time.Millisecond)
	disorder   = int64(5 * time.Second / time.Millisecond) // of uses at about the same time

	// What is over is forgotten by so many at a time, so that nobody waits long
	// for it: two for each that is used, and more for room.
	forgetAtUse, forgetForRoom = 2, 1 << 10
)

// Use is a proof that is used.
type Use struct {
	ID       [32]byte  // of its key and its jti
	Owner    string    // whose share of a memory it takes: the organization, or else the client
	Earliest time.Time // it can't have been used before
	Until    time.Time // it can't be used from then on
	Now      time.Time
}

// Outcome is what a [Replays] found out.
type Outcome int

// The outcomes of [Replays.Use].
const (
	First   Outcome = iota // nobody has used it
	Again                  // somebody has
	Unknown                // somebody may have
)

// Replays remembers which proofs were used. [Memory] is this process's own.
type Replays interface {
	Use(context.Context, Use) Outcome
}

// Memory remembers in this process which proofs were used. Its size is fixed.
// If more are used than it has room for, the owner that has most of it forgets
// its oldest sooner, and of that owner no proofs are taken any longer that may
// be among them. Others notice nothing; nor does whoever makes a proof for each
// request, as long as its owner's share reaches back for as long as clocks may
// differ (maxAhead), or as a nonce is used. It is safe for concurrent use.
//
// If the clock is set back, what is remembered stays so as long as it would
// have. What had been forgotten before can be used again when the clock gets
// there once more, an hour after it was set back by an hour. To refuse it would
// keep all callers out for that hour, whose proofs say the same times.
type Memory struct {
	most int
	seed [32]byte // so that nobody can look for two proofs that seem the same

	mu     sync.Mutex
	used   map[uint64]struct{}
	shares map[string]*share // by owner; who came when there were maxOwners has the one of ""
	last   int64             // the time of the last use, in milliseconds, as is every moment here
	back   int64             // by how much the clock was set back
	swept  int64
}

// share is what is remembered of an owner.
type share struct {
	order []usedAt // the oldest first
	gone  int      // so many at the front of order are forgotten
	since int64    // what was used since then is remembered
}

type usedAt struct {
	key uint64
	at  int64
}

func (s *share) held() int { return len(s.order) - s.gone }

// NewMemory returns a memory for that many proofs.
func NewMemory(proofs int) *Memory {
	m := &Memory{most: max(proofs, 1), used: map[uint64]struct{}{}, shares: map[string]*share{}}
	_, _ = rand.Read(m.seed[:])
	return m
}

// Use implements [Replays].
func (m *Memory) Use(_ context.Context, u Use) Outcome {
	sum := sha256.Sum256(append(m.seed[:len(m.seed):len(m.seed)], u.ID[:]...))
	key := binary.LittleEndian.Uint64(sum[:])
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now(u.Now)
	s := m.share(u.Owner, now)
	m.forgetOld(s, now, forgetAtUse)
	if _, there := m.used[key]; there {
		return Again
	}
	if u.Earliest.UnixMilli()+m.back < max(s.since, now-remembered.Milliseconds()) {
		return Unknown
	}
	if len(m.used) >= m.most {
		m.makeRoom(now)
	}
	m.used[key] = struct{}{}
	s.order = append(s.order, usedAt{key, now})
	return First
}

// now returns a time that never goes back: if the clock was set back, all is as
// old as it was. Uses at about the same time come in any order, which sets no
// clock back: counted each time, it would have this one run ahead.
func (m *Memory) now(clock time.Time) int64 {
	now := clock.UnixMilli() + m.back
	if late := m.last - now; late > disorder {
		m.back += late
	}
	m.last = max(m.last, now)
	return m.last
}

// share returns the share of an owner. A new one does not know what was
// forgotten of those who had none of their own.
func (m *Memory) share(owner string, now int64) *share {
	s := m.shares[owner]
	if s != nil {
		return s
	}
	if len(m.shares) >= maxOwners && now-m.swept >= sweepEvery {
		m.sweep(now)
	}
	common := m.shares[""]
	if len(m.shares) >= maxOwners && common != nil {
		return common
	}
	if len(m.shares) >= maxOwners {
		owner = ""
	}
	s = &share{}
	if common != nil {
		s.since = common.since
	}
	m.shares[owner] = s
	return s
}

// sweep forgets what is over of all owners, and those of whom nothing is left.
func (m *Memory) sweep(now int64) {
	m.swept = now
	for owner, s := range m.shares {
		m.forgetOld(s, now, forgetForRoom)
		if s.held() == 0 && over(s.since, now) {
			delete(m.shares, owner)
		}
	}
}

// over reports whether no proof that was used at a moment could be taken now.
func over(at, now int64) bool { return now-at > remembered.Milliseconds() }

// forgetOld forgets what is over of a share, up to most.
func (m *Memory) forgetOld(s *share, now int64, most int) {
	n := 0
	for n < most && s.gone+n < len(s.order) && over(s.order[s.gone+n].at, now) {
		n++
	}
	m.forget(s, n)
}

// forget forgets the n oldest of a share.
func (m *Memory) forget(s *share, n int) {
	for _, one := range s.order[s.gone : s.gone+n] {
		delete(m.used, one.key)
	}
	if s.gone += n; s.gone > len(s.order)/2 {
		s.order = append(s.order[:0], s.order[s.gone:]...)
		s.gone = 0
	}
}

// makeRoom forgets what is over, or else the oldest part of the largest share:
// too soon, since some of it could be used still.
func (m *Memory) makeRoom(now int64) {
	var largest *share
	for _, s := range m.shares {
		m.forgetOld(s, now, forgetForRoom)
		if largest == nil || s.held() > largest.held() {
			largest = s
		}
	}
	if len(m.used) < m.most {
		return
	}
	n := max(1, largest.held()/tooSoon)
	largest.since = largest.order[largest.gone+n-1].at + 1
	m.forget(largest, n)
}
