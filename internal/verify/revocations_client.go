package verify

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxOrdered is how many revoked tokens of one client are kept in order; an
// issuer of this release keeps no more than 1,000 of them live. Those beyond
// are kept without their client, so that a rule does not make them go.
const maxOrdered = 4096

// clientEntries are the entries about one client.
type clientEntries struct {
	org    string
	all    rule            // the rule for all of its tokens
	pol    int64           // of all
	roles  map[string]aged // role → the rule for those that carry it
	creds  map[string]aged // secret → when it may go
	unless *unlessBound    // the rules for those that are not bound as demanded; nil: none
	tokens []revokedToken  // ordered by id
}

// aged is an entry with the epoch and the pol that the youngest token may have
// that it denies.
type aged struct {
	rule
	epoch, pol int64
}

func (a aged) join(other aged) aged {
	return aged{a.rule.join(other.rule), max(a.epoch, other.epoch), max(a.pol, other.pol)}
}

// revokedToken is 28 bytes, as there may be a million.
type revokedToken struct {
	id              digest
	exp, epoch, pol uint32
}

// age32 holds an epoch or a pol. What does not fit is as if it were younger
// than every rule.
func age32(n int64) uint32 {
	if n < 0 || n >= math.MaxUint32 {
		return math.MaxUint32
	}
	return uint32(n)
}

func (t *revocationTable) addToClient(e *svcauth.Revocation, exp int64) bool {
	if e.OrgID != "" && t.organizationCovers(e.OrgID, e.Pol, exp) {
		return false
	}
	s := t.shard(e.ClientID)
	s.Lock()
	defer s.Unlock()
	c := s.clients[e.ClientID]
	if c == nil {
		c = t.newClient(s, e)
	}
	before := c.len()
	entry := aged{rule{e.MinEpoch, exp}, e.Epoch, e.Pol}
	var changed bool
	switch {
	case e.JTI != "":
		changed = t.addClientToken(c, e, exp)
	case e.Cred != "":
		if !c.all.covers(e.Epoch+1, exp) {
			_, known := c.creds[e.Cred]
			c.creds, changed = join(c.creds, e.Cred, entry), !known
		}
	case e.MinEpoch <= 0:
	case e.Role != "":
		if !c.all.covers(e.MinEpoch, exp) {
			changed = e.MinEpoch > c.roles[e.Role].min
			c.roles = join(c.roles, e.Role, entry)
		}
	case e.Spares() != "":
		if !c.all.covers(e.MinEpoch, exp) {
			changed = addUnless(&c.unless, e.Spares(), entry)
		}
	default:
		changed = e.MinEpoch > c.all.min
		c.all, c.pol = c.all.join(entry.rule), max(c.pol, e.Pol)
		c.drop(func(a aged) bool { return c.all.covers(a.epoch+1, a.exp) })
	}
	t.entries.Add(int64(c.len() - before))
	if c.len() == 0 {
		t.dropClient(s, e.ClientID, c)
	}
	return changed
}

func join(all map[string]aged, key string, entry aged) map[string]aged {
	if all == nil {
		all = make(map[string]aged, 1)
	}
	old, known := all[key]
	if !known {
		key = strings.Clone(key)
	}
	all[key] = old.join(entry)
	return all
}

// newClient makes room for a client's entries. The shard is locked.
func (t *revocationTable) newClient(s *revocationShard, e *svcauth.Revocation) *clientEntries {
	c := &clientEntries{}
	id := strings.Clone(e.ClientID)
	if e.OrgID != "" {
		c.org = strings.Clone(e.OrgID)
		if t.members[c.org] == nil {
			t.members[c.org] = map[string]struct{}{}
		}
		t.members[c.org][id] = struct{}{}
	}
	if s.clients == nil {
		s.clients = map[string]*clientEntries{}
	}
	s.clients[id] = c
	t.clients.Add(1)
	return c
}

// dropClient forgets a client without entries. The shard is locked.
func (t *revocationTable) dropClient(s *revocationShard, id string, c *clientEntries) {
	delete(s.clients, id)
	t.clients.Add(-1)
	if delete(t.members[c.org], id); len(t.members[c.org]) == 0 {
		delete(t.members, c.org)
	}
}

func (t *revocationTable) addClientToken(c *clientEntries, e *svcauth.Revocation, exp int64) (changed bool) {
	if c.all.covers(e.Epoch+1, exp) {
		return false
	}
	one := revokedToken{jtiDigest(e.JTI), seconds32(exp), age32(e.Epoch), age32(e.Pol)}
	i, known := c.find(one.id)
	switch {
	case known:
		old := &c.tokens[i]
		old.exp, old.epoch, old.pol = max(old.exp, one.exp), max(old.epoch, one.epoch), max(old.pol, one.pol)
		return false
	case len(c.tokens) >= maxOrdered:
		s := t.shard(e.JTI)
		if own := t.shard(e.ClientID); s != own { // which is locked
			s.Lock()
			defer s.Unlock()
		}
		return t.addToken(s, one.id, one.exp)
	}
	c.tokens = slices.Insert(c.tokens, i, one)
	return true
}

func (c *clientEntries) find(id digest) (int, bool) {
	return slices.BinarySearchFunc(c.tokens, id, func(t revokedToken, id digest) int {
		return bytes.Compare(t.id[:], id[:])
	})
}

func (c *clientEntries) len() int {
	n := len(c.roles) + len(c.creds) + len(c.tokens) + c.unless.len()
	if c.all.min > 0 {
		n++
	}
	return n
}

func (c *clientEntries) denies(claims *Claims) (entry svcauth.Revocation, revoked bool) {
	if c == nil {
		return entry, false
	}
	if claims.Epoch < c.all.min {
		return svcauth.Revocation{ClientID: claims.ClientID, MinEpoch: c.all.min, Exp: c.all.exp}, true
	}
	if len(c.tokens) > 0 && claims.JTI != "" {
		if i, ok := c.find(jtiDigest(claims.JTI)); ok {
			return svcauth.Revocation{JTI: claims.JTI, Exp: seconds64(c.tokens[i].exp)}, true
		}
	}
	if a, ok := c.creds[claims.Cred]; ok && claims.Cred != "" {
		return svcauth.Revocation{Cred: claims.Cred, Exp: a.exp}, true
	}
	if c.unless != nil {
		if spared, r, ok := c.unless.denies(claims.Epoch, claims); ok {
			return svcauth.Revocation{
				ClientID: claims.ClientID, MinEpoch: r.min, UnlessBound: spared, Exp: r.exp,
			}, true
		}
	}
	if len(c.roles) == 0 {
		return entry, false
	}
	for _, role := range claims.Roles {
		if a, ok := c.roles[role]; ok && claims.Epoch < a.min {
			return svcauth.Revocation{ClientID: claims.ClientID, Role: role, MinEpoch: a.min, Exp: a.exp}, true
		}
	}
	return entry, false
}

// drop forgets the entries, other than the rule for all tokens, for which
// covered returns true, and returns how many it forgot.
func (c *clientEntries) drop(covered func(aged) bool) (removed int) {
	had := len(c.tokens)
	c.tokens = slices.DeleteFunc(c.tokens, func(t revokedToken) bool {
		return t.epoch != math.MaxUint32 && t.pol != math.MaxUint32 &&
			covered(aged{rule{0, seconds64(t.exp)}, int64(t.epoch), int64(t.pol)})
	})
	removed = had - len(c.tokens)
	c.tokens = shrunk(c.tokens, had)
	removed += removeFrom(c.creds, func(_ string, a aged) bool { return covered(a) })
	below := func(a aged) bool { a.epoch = a.min - 1; return covered(a) } // it denies no younger token
	removed += c.unless.drop(below)
	return removed + removeFrom(c.roles, func(_ string, a aged) bool { return below(a) })
}

// shrunk frees the memory of tokens once most of them are gone.
func shrunk(tokens []revokedToken, had int) []revokedToken {
	if len(tokens) >= had/2 {
		return tokens
	}
	return append([]revokedToken(nil), tokens...)
}

// dropByPolicy forgets what the rule for an organization's tokens covers.
func (c *clientEntries) dropByPolicy(r rule) (removed int) {
	if c.all.min > 0 && r.covers(c.pol+1, c.all.exp) {
		c.all, removed = rule{}, 1
	}
	return removed + c.drop(func(a aged) bool { return r.covers(a.pol+1, a.exp) })
}

func (c *clientEntries) expire(before int64) (removed int) {
	if c.all.min > 0 && c.all.exp < before {
		c.all, removed = rule{}, 1
	}
	had := len(c.tokens)
	c.tokens = slices.DeleteFunc(c.tokens, func(t revokedToken) bool { return seconds64(t.exp) < before })
	removed += had - len(c.tokens)
	c.tokens = shrunk(c.tokens, had)
	late := func(_ string, a aged) bool { return a.exp < before }
	removed += c.unless.drop(func(a aged) bool { return a.exp < before })
	return removed + removeFrom(c.creds, late) + removeFrom(c.roles, late)
}
