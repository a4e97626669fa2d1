package verify

import (
	"crypto/sha256"
	"hash/maphash"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const revocationShards = 256

// revocationTable is split so that readers do not meet at one lock and a sweep
// holds each for microseconds. One goroutine writes at a time.
//
// What denies more stands there before what it covers goes, and a check looks
// at the client before the organization: so none finds a revoked token live.
type revocationTable struct {
	seed   maphash.Seed
	shards [revocationShards]revocationShard

	// How many there are of each kind, so that most checks look at nothing.
	entries atomic.Int64
	tokens  atomic.Int64 // of the shards' tokens
	creds   atomic.Int64 // of the shards' creds
	clients atomic.Int64 // clients with entries
	orgs    atomic.Int64 // organizations with entries of their own

	members map[string]map[string]struct{} // organization → its clients with entries; the writer's only
}

// revocationShard holds the entries whose subject (token, secret, client,
// organization) falls into it.
type revocationShard struct {
	sync.RWMutex
	tokens  map[digest]uint32 // digest of the jti → exp, of tokens whose client is not known
	creds   map[string]int64  // secret → exp, of secrets whose client is not known
	clients map[string]*clientEntries
	orgs    map[string]*orgEntries
	_       [64]byte
}

// rule denies tokens whose epoch or pol is lower than min. A min of 0 denies
// none.
type rule struct{ min, exp int64 }

// covers reports whether r denies all that an entry denies which is about
// tokens older than age and is needed until exp.
func (r rule) covers(age, exp int64) bool { return age <= r.min && exp <= r.exp && r.min > 0 }

// join returns what denies all that both deny, for as long as either is needed.
func (r rule) join(other rule) rule {
	return rule{max(r.min, other.min), max(r.exp, other.exp)}
}

func newRevocationTable(seed maphash.Seed) *revocationTable {
	return &revocationTable{seed: seed, members: map[string]map[string]struct{}{}}
}

func (t *revocationTable) shard(key string) *revocationShard {
	return &t.shards[maphash.String(t.seed, key)%revocationShards]
}

func jtiDigest(jti string) digest {
	sum := sha256.Sum256([]byte(jti))
	return digest(sum[:16])
}

// forever is the exp of an entry that has none: keeping it too long is safe,
// forgetting it is not.
const forever = math.MaxInt64

// seconds32 holds exp in 32 bits, good until 2106; what is later is kept
// forever.
func seconds32(exp int64) uint32 {
	if exp >= math.MaxUint32 {
		return math.MaxUint32
	}
	return uint32(exp)
}

func seconds64(exp uint32) int64 {
	if exp == math.MaxUint32 {
		return forever
	}
	return int64(exp)
}

// add reports whether the entry denies something that was not denied before.
func (t *revocationTable) add(e *svcauth.Revocation) bool {
	exp := e.Exp
	if exp <= 0 {
		exp = forever
	}
	switch {
	case e.ClientID != "":
		return t.addToClient(e, exp)
	case e.JTI != "":
		s := t.shard(e.JTI)
		s.Lock()
		defer s.Unlock()
		return t.addToken(s, jtiDigest(e.JTI), seconds32(exp))
	case e.Cred != "":
		s := t.shard(e.Cred)
		s.Lock()
		defer s.Unlock()
		return t.addCredential(s, e.Cred, exp)
	case e.OrgID != "" && (e.Role != "" || e.Privilege == ""):
		return t.addToOrganization(e, rule{e.MinPol, exp})
	}
	return false
}

func (t *revocationTable) addToken(s *revocationShard, id digest, exp uint32) bool {
	if s.tokens == nil {
		s.tokens = map[digest]uint32{}
	}
	old, known := s.tokens[id]
	s.tokens[id] = max(old, exp)
	if !known {
		t.tokens.Add(1)
		t.entries.Add(1)
	}
	return !known
}

func (t *revocationTable) addCredential(s *revocationShard, cred string, exp int64) bool {
	if s.creds == nil {
		s.creds = map[string]int64{}
	}
	old, known := s.creds[cred]
	if !known {
		cred = strings.Clone(cred)
		t.creds.Add(1)
		t.entries.Add(1)
	}
	s.creds[cred] = max(old, exp)
	return !known
}

func (t *revocationTable) denies(c *Claims) (entry svcauth.Revocation, revoked bool) {
	if t.entries.Load() == 0 {
		return entry, false
	}
	if c.JTI != "" && t.tokens.Load() > 0 {
		s := t.shard(c.JTI)
		s.RLock()
		exp, revoked := s.tokens[jtiDigest(c.JTI)]
		s.RUnlock()
		if revoked {
			return svcauth.Revocation{JTI: c.JTI, Exp: seconds64(exp)}, true
		}
	}
	if c.Cred != "" && t.creds.Load() > 0 {
		s := t.shard(c.Cred)
		s.RLock()
		exp, revoked := s.creds[c.Cred]
		s.RUnlock()
		if revoked {
			return svcauth.Revocation{Cred: c.Cred, Exp: exp}, true
		}
	}
	if c.ClientID != "" && t.clients.Load() > 0 {
		s := t.shard(c.ClientID)
		s.RLock()
		entry, revoked = s.clients[c.ClientID].denies(c)
		s.RUnlock()
	}
	if !revoked && c.OrgID != "" && t.orgs.Load() > 0 {
		s := t.shard(c.OrgID)
		s.RLock()
		entry, revoked = s.orgs[c.OrgID].denies(c)
		s.RUnlock()
	}
	return entry, revoked
}

// expire removes what expired before that second from one shard, and returns
// how many entries it looked at and how many it removed.
func (t *revocationTable) expire(shard int, before int64) (looked, removed int) {
	s := &t.shards[shard]
	s.Lock()
	defer s.Unlock()
	looked = len(s.tokens) + len(s.creds)
	gone := removeFrom(s.tokens, func(_ digest, exp uint32) bool { return seconds64(exp) < before })
	t.tokens.Add(-int64(gone))
	removed += gone
	if gone > len(s.tokens) { // a Go map gives no memory back: most is gone, so move the rest to a small one
		rest := make(map[digest]uint32, len(s.tokens))
		for id, exp := range s.tokens {
			rest[id] = exp
		}
		s.tokens = rest
	}
	gone = removeFrom(s.creds, func(_ string, exp int64) bool { return exp < before })
	t.creds.Add(-int64(gone))
	removed += gone
	for id, c := range s.clients {
		looked += c.len()
		removed += c.expire(before)
		if c.len() == 0 {
			t.dropClient(s, id, c)
		}
	}
	for id, o := range s.orgs {
		looked += o.count
		removed += o.expire(before)
		if o.count == 0 {
			delete(s.orgs, id)
			t.orgs.Add(-1)
		}
	}
	t.entries.Add(-int64(removed))
	return looked, removed
}

// removeFrom deletes the entries for which gone returns true, and returns how
// many.
func removeFrom[K comparable, V any](all map[K]V, gone func(K, V) bool) (removed int) {
	for key, value := range all {
		if gone(key, value) {
			delete(all, key)
			removed++
		}
	}
	return removed
}
