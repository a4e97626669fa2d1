package resourceserver

import (
	"crypto/sha256"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const revocationShards = 256

// expirySlack is how long an entry is kept beyond its exp: as long as the largest [Config.Leeway] lets a token live on.
const expirySlack = maxLeeway

// RevocationSet holds live revocations and tells whether a token is among them: svcauth itself uses it for introspection, and a
// [Verifier] for every token. It is safe for concurrent use. A million revoked tokens take some 50 MB, and a check two or three look-ups.
type RevocationSet struct {
	generation atomic.Uint64 // rises when an entry is added that was not there, and never else
	seed       maphash.Seed

	writing sync.Mutex // held by all that writes, so that Replace loses nothing that is added meanwhile
	table   atomic.Pointer[revocationTable]
	next    *revocationTable // what a replacement under way will hold, or nil; guarded by writing
	swept   int              // the shard at which Expire goes on; guarded by writing
	clock   patience         // guarded by writing
}

// NewRevocationSet returns an empty set.
func NewRevocationSet() *RevocationSet {
	s := &RevocationSet{seed: maphash.MakeSeed(), clock: patience{started: time.Now()}}
	s.table.Store(new(revocationTable))
	return s
}

// Add puts entries into the set. One that is there already, or that another one covers, changes nothing. An entry of no known kind
// matches no token and is left out.
func (s *RevocationSet) Add(entries ...svcauth.Revocation) {
	s.writing.Lock()
	defer s.writing.Unlock()
	table := s.table.Load()
	grown := false
	for i := range entries {
		if table.add(s.seed, &entries[i]) {
			grown = true
		}
		if s.next != nil {
			s.next.add(s.seed, &entries[i])
		}
	}
	if grown {
		s.generation.Add(1) // after the entries are visible: see Verifier.isRevoked
	}
}

// Replace makes the set hold exactly these entries. Checks that run meanwhile see the set as it was or as it is then, never a part.
func (s *RevocationSet) Replace(entries []svcauth.Revocation) {
	next := s.replacement()
	next.add(entries)
	next.commit()
}

// ReplaceFrom is [RevocationSet.Replace] for who reads the entries in pages: read hands on each, and the set is as it was until read has returned. Where read fails
// it stays so, and the error comes back.
func (s *RevocationSet) ReplaceFrom(read func(add func(...svcauth.Revocation)) error) error {
	next := s.replacement()
	defer next.abandon()
	if err := read(func(entries ...svcauth.Revocation) { next.add(entries) }); err != nil {
		return err
	}
	next.commit()
	return nil
}

// replacement is what a set will hold, while it is being read. What is added to the set meanwhile is added to it too.
type replacement struct {
	set   *RevocationSet
	table *revocationTable
}

func (s *RevocationSet) replacement() *replacement {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.next = new(revocationTable)
	return &replacement{s, s.next}
}

func (r *replacement) add(entries []svcauth.Revocation) {
	for i := range entries {
		r.table.add(r.set.seed, &entries[i])
	}
}

// abandon ends a replacement that won't be complete. After commit it does nothing.
func (r *replacement) abandon() {
	r.set.writing.Lock()
	defer r.set.writing.Unlock()
	if r.set.next == r.table {
		r.set.next = nil
	}
}

func (r *replacement) commit() {
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

// Revoked says whether a live entry matches the token, and which one, as contract and [svcauth.Revocation] define it.
func (s *RevocationSet) Revoked(c *Claims) (entry svcauth.Revocation, revoked bool) {
	table := s.table.Load()
	if c.JTI != "" {
		if exp, ok := table.shard(s.seed, c.JTI).token(c.JTI); ok {
			return svcauth.Revocation{JTI: c.JTI, Exp: exp}, true
		}
	}
	if table.rules.Load() == 0 { // most of the time there is nothing but single tokens
		return svcauth.Revocation{}, false
	}
	if c.Cred != "" {
		if exp, ok := table.shard(s.seed, c.Cred).credential(c.Cred); ok {
			return svcauth.Revocation{Cred: c.Cred, Exp: exp}, true
		}
	}
	if entry, ok := table.shard(s.seed, c.ClientID).client(c); ok {
		return entry, true
	}
	return table.shard(s.seed, c.OrgID).organization(c)
}

// Len says how many entries the set holds, the expired ones that were not yet swept included.
func (s *RevocationSet) Len() int {
	table := s.table.Load()
	return int(table.tokens.Load() + table.rules.Load())
}

// Expire forgets entries whose exp lies more than 5 minutes (the largest leeway of a [Verifier]) before now, and says how many. One call looks at
// some 20,000 entries at most and goes on next time where it stopped; call it every second or so. An entry that is forgotten late does no harm, and one that is
// forgotten early lets a revoked token live again: where the clock jumps ahead, now is believed an hour later.
func (s *RevocationSet) Expire(now time.Time) int {
	s.writing.Lock()
	defer s.writing.Unlock()
	table := s.table.Load()
	before := s.clock.believe(now).Add(-expirySlack).Unix()
	removed := 0
	for looked, shards := 0, 0; looked < 20_000 && shards < revocationShards; shards++ {
		l, r := table.shards[s.swept].expire(before)
		s.swept = (s.swept + 1) % revocationShards
		table.tokens.Add(-int64(r.tokens))
		table.rules.Add(-int64(r.rules))
		looked, removed = looked+l, removed+r.tokens+r.rules
	}
	return removed
}

// Believed is the moment by which [RevocationSet.Expire] goes: now, or where the clock has jumped ahead within the last hour, what it would say if it had not.
func (s *RevocationSet) Believed(now time.Time) time.Time {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.clock.believe(now)
}

// revocationTable is split so that readers do not meet at one lock and a sweep holds each for microseconds.
type revocationTable struct {
	shards [revocationShards]revocationShard
	tokens atomic.Int64 // entries of kind jti
	rules  atomic.Int64 // all other entries
}

func (t *revocationTable) shard(seed maphash.Seed, key string) *revocationShard {
	return &t.shards[maphash.String(seed, key)%revocationShards]
}

// revocationShard holds the entries whose subject (token, secret, client, organization) falls into it.
type revocationShard struct {
	sync.RWMutex
	tokens  map[digest]uint32 // digest of the jti → exp; 20 bytes each instead of a string and its header
	creds   map[string]int64  // secret → exp
	clients map[string]map[string]rule
	orgs    map[string]map[rolePrivilege]rule
	_       [64]byte
}

// rule denies tokens whose epoch or pol is lower than min.
type rule struct{ min, exp int64 }

type rolePrivilege struct{ role, privilege string }

func jtiDigest(jti string) digest {
	sum := sha256.Sum256([]byte(jti))
	return digest(sum[:16])
}

// forever is the exp of an entry that has none: keeping it too long is safe, forgetting it is not.
const forever = math.MaxInt64

// add says whether the entry was new.
func (t *revocationTable) add(seed maphash.Seed, e *svcauth.Revocation) bool {
	exp := e.Exp
	if exp <= 0 {
		exp = forever
	}
	var subject string
	switch {
	case e.JTI != "":
		subject = e.JTI
	case e.Cred != "":
		subject = e.Cred
	case e.ClientID != "":
		subject = e.ClientID
	case e.OrgID != "" && (e.Role != "" || e.Privilege == ""):
		subject = e.OrgID
	default:
		return false
	}
	s := t.shard(seed, subject)
	s.Lock()
	defer s.Unlock()
	known, changed := true, false
	switch {
	case e.JTI != "":
		if known, changed = s.addToken(jtiDigest(e.JTI), exp); !known {
			t.tokens.Add(1)
		}
		return changed
	case e.Cred != "":
		known, changed = s.addCredential(e.Cred, exp)
	case e.ClientID != "":
		known, changed = addRule(&s.clients, e.ClientID, e.Role, rule{e.MinEpoch, exp})
	default:
		known, changed = addRule(&s.orgs, e.OrgID, rolePrivilege{e.Role, e.Privilege}, rule{e.MinPol, exp})
	}
	if !known {
		t.rules.Add(1)
	}
	return changed
}
