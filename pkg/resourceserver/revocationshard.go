package resourceserver

import (
	"math"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// seconds32 holds exp in 32 bits, good until 2106; what is later is kept forever.
func seconds32(exp int64) uint32 {
	if exp >= math.MaxUint32 {
		return math.MaxUint32
	}
	return uint32(exp)
}

func (s *revocationShard) addToken(id digest, exp int64) (known, changed bool) {
	old, known := s.tokens[id]
	if s.tokens == nil {
		s.tokens = make(map[digest]uint32)
	}
	s.tokens[id] = max(old, seconds32(exp))
	return known, !known
}

func (s *revocationShard) addCredential(cred string, exp int64) (known, changed bool) {
	old, known := s.creds[cred]
	if s.creds == nil {
		s.creds = make(map[string]int64)
	}
	s.creds[cred] = max(old, exp)
	return known, !known
}

// addRule joins two rules for the same subject: the higher minimum denies all that the lower one does, the later exp is when both may go.
func addRule[K comparable](rules *map[string]map[K]rule, subject string, key K, r rule) (known, changed bool) {
	if *rules == nil {
		*rules = make(map[string]map[K]rule)
	}
	inner := (*rules)[subject]
	if inner == nil {
		inner = make(map[K]rule, 1)
		(*rules)[strings.Clone(subject)] = inner
	}
	old, known := inner[key]
	inner[key] = rule{max(old.min, r.min), max(old.exp, r.exp)}
	return known, !known || r.min > old.min
}

func (s *revocationShard) token(jti string) (exp int64, revoked bool) {
	s.RLock()
	defer s.RUnlock()
	if len(s.tokens) == 0 {
		return 0, false
	}
	short, revoked := s.tokens[jtiDigest(jti)]
	if short == math.MaxUint32 {
		return forever, revoked
	}
	return int64(short), revoked
}

func (s *revocationShard) credential(cred string) (exp int64, revoked bool) {
	s.RLock()
	defer s.RUnlock()
	exp, revoked = s.creds[cred]
	return exp, revoked
}

func (s *revocationShard) client(c *Claims) (entry svcauth.Revocation, revoked bool) {
	s.RLock()
	defer s.RUnlock()
	for role, r := range s.clients[c.ClientID] {
		if c.Epoch < r.min && (role == "" || slices.Contains(c.Roles, role)) {
			return svcauth.Revocation{ClientID: c.ClientID, Role: role, MinEpoch: r.min, Exp: r.exp}, true
		}
	}
	return svcauth.Revocation{}, false
}

func (s *revocationShard) organization(c *Claims) (entry svcauth.Revocation, revoked bool) {
	s.RLock()
	defer s.RUnlock()
	for key, r := range s.orgs[c.OrgID] {
		if c.Policy < r.min && (key.role == "" || slices.Contains(c.Roles, key.role)) && (key.privilege == "" || hasScope(c.Scope, key.privilege)) {
			return svcauth.Revocation{OrgID: c.OrgID, Role: key.role, Privilege: key.privilege, MinPol: r.min, Exp: r.exp}, true
		}
	}
	return svcauth.Revocation{}, false
}

// hasScope says whether privilege is one of the words of scope.
func hasScope(scope, privilege string) bool {
	for word := range strings.FieldsSeq(scope) {
		if word == privilege {
			return true
		}
	}
	return false
}

type removal struct{ tokens, rules int }

// expire forgets what expired before that second, and says at how many entries it looked.
func (s *revocationShard) expire(before int64) (looked int, r removal) {
	s.Lock()
	defer s.Unlock()
	looked = len(s.tokens) + len(s.creds)
	for id, exp := range s.tokens {
		if exp != math.MaxUint32 && int64(exp) < before {
			delete(s.tokens, id)
			r.tokens++
		}
	}
	if r.tokens > len(s.tokens) { // a Go map gives no memory back: most is gone, so move the rest to a small one
		rest := make(map[digest]uint32, len(s.tokens))
		for id, exp := range s.tokens {
			rest[id] = exp
		}
		s.tokens = rest
	}
	for cred, exp := range s.creds {
		if exp < before {
			delete(s.creds, cred)
			r.rules++
		}
	}
	looked += expireRules(s.clients, before, &r) + expireRules(s.orgs, before, &r)
	return looked, r
}

func expireRules[K comparable](rules map[string]map[K]rule, before int64, r *removal) (looked int) {
	for subject, inner := range rules {
		looked += len(inner)
		for key, one := range inner {
			if one.exp < before {
				delete(inner, key)
				r.rules++
			}
		}
		if len(inner) == 0 {
			delete(rules, subject)
		}
	}
	return looked
}
