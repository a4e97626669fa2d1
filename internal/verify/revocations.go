package verify

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// expirySlack is how long an entry is kept beyond its exp: as long as the
// largest leeway lets a token live on. It is less than [KeptUntil],
// since one clock judges the entry and the token.
const expirySlack = svcauth.MaxLeeway

// RevocationSet holds revocations and finds those that match a token. svcauth
// itself uses it for introspection, and a [Verifier] for every token. It is
// safe for concurrent use. A check takes a few look-ups, however many entries
// there are; a million revoked tokens take some 50 MB. An entry that another
// one makes superfluous is forgotten at once.
type RevocationSet struct {
	generation atomic.Uint64 // rises when an entry is added that was not there, and never else

	writing sync.Mutex // held by all that writes, so that a replacement loses nothing that is added meanwhile
	table   atomic.Pointer[revocationTable]
	next    *revocationTable // what a replacement under way will hold, or nil; guarded by writing
	seed    maphash.Seed
	swept   int         // the shard at which Expire goes on; guarded by writing
	clock   steadyClock // guarded by writing
}

// NewRevocationSet returns an empty set.
func NewRevocationSet() *RevocationSet {
	s := &RevocationSet{seed: maphash.MakeSeed(), clock: steadyClock{started: time.Now()}}
	s.table.Store(newRevocationTable(s.seed))
	return s
}

// Add puts entries into the set. One that is there already, or that another one
// covers, changes nothing. An entry of no known kind matches no token and is
// left out.
func (s *RevocationSet) Add(entries ...svcauth.Revocation) {
	s.writing.Lock()
	defer s.writing.Unlock()
	table := s.table.Load()
	grown := false
	for i := range entries {
		if table.add(&entries[i]) {
			grown = true
		}
		if s.next != nil {
			s.next.add(&entries[i])
		}
	}
	if grown {
		s.generation.Add(1) // after the entries are visible: see Verifier.isRevoked
	}
}

// ReplaceFrom makes the set hold exactly the entries that read passes to add,
// page by page. The set doesn't change until read has returned, nor if read
// fails: then ReplaceFrom returns its error.
func (s *RevocationSet) ReplaceFrom(read func(add func(...svcauth.Revocation)) error) error {
	next := s.BeginReplacement()
	defer next.Abandon()
	if err := read(next.Add); err != nil {
		return err
	}
	next.Commit()
	return nil
}

// Replacement is what a set will hold, while it is being read. What is added to
// the set meanwhile is added to it too. Checks see the set as it was or, after
// Commit, as it is then, never a part.
type Replacement struct {
	set   *RevocationSet
	table *revocationTable
}

// BeginReplacement returns an empty replacement, which takes the place of one
// that was begun before. The caller ends it with Commit or Abandon.
func (s *RevocationSet) BeginReplacement() *Replacement {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.next = newRevocationTable(s.seed)
	return &Replacement{s, s.next}
}

// Add puts entries into the replacement.
func (r *Replacement) Add(entries ...svcauth.Revocation) {
	r.set.writing.Lock()
	defer r.set.writing.Unlock()
	for i := range entries {
		r.table.add(&entries[i])
	}
}

// Abandon ends an incomplete replacement. After Commit it does nothing.
func (r *Replacement) Abandon() {
	r.set.writing.Lock()
	defer r.set.writing.Unlock()
	if r.set.next == r.table {
		r.set.next = nil
	}
}

// Commit makes the set hold what the replacement holds.
func (r *Replacement) Commit() {
	s := r.set
	s.writing.Lock()
	defer s.writing.Unlock()
	s.table.Store(r.table)
	if s.next == r.table {
		s.next = nil
	}
	s.swept = 0
	s.generation.Add(1)
}

// Revoked reports whether a live entry matches the token, and which one, as
// [svcauth.Revocation] defines it.
func (s *RevocationSet) Revoked(c *Claims) (entry svcauth.Revocation, revoked bool) {
	return s.table.Load().denies(c)
}

// Len returns how many entries the set holds, those included that have expired
// and were not yet swept.
func (s *RevocationSet) Len() int { return int(s.table.Load().entries.Load()) }

// Expire forgets entries whose exp lies more than 5 minutes (the largest leeway
// of a [Verifier]) before now, and returns how many. One call looks at an
// eighth of the set, and some 20,000 entries at most, and goes on next time
// where it stopped; call it every second or so. An entry that is forgotten late
// does no harm, and one that is forgotten early lets a revoked token live again:
// if the clock jumps ahead, now is believed an hour later.
func (s *RevocationSet) Expire(now time.Time) int {
	s.writing.Lock()
	defer s.writing.Unlock()
	table := s.table.Load()
	before := s.clock.believe(now).Add(-expirySlack).Unix()
	removed := 0
	for looked, shards := 0, 0; looked < 20_000 && shards < revocationShards/8; shards++ {
		l, r := table.expire(s.swept, before)
		s.swept = (s.swept + 1) % revocationShards
		looked, removed = looked+l, removed+r
	}
	return removed
}

// Believed returns the moment by which [RevocationSet.Expire] goes: now, or if
// the clock has jumped ahead within the last hour, what it would say if it had
// not.
func (s *RevocationSet) Believed(now time.Time) time.Time {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.clock.believe(now)
}
