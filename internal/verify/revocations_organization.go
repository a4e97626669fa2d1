package verify

import (
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// orgEntries are the entries about one organization's tokens. They are found by
// role, so that a check costs as much as the token has roles.
type orgEntries struct {
	all   rule
	roles map[string]*roleRules
	count int // of all rules
}

type roleRules struct {
	whole      rule
	privileges map[string]rule
	unless     *unlessBound // as of a client
}

// organizationCovers reports whether the organization's rule for all tokens
// makes an entry superfluous that denies tokens with pol or less until exp.
func (t *revocationTable) organizationCovers(org string, pol, exp int64) bool {
	if t.orgs.Load() == 0 {
		return false
	}
	s := t.shard(org)
	s.RLock()
	defer s.RUnlock()
	o := s.orgs[org]
	return o != nil && o.all.covers(pol+1, exp)
}

func (t *revocationTable) addToOrganization(e *svcauth.Revocation, r rule) (changed bool) {
	if r.min <= 0 {
		return false
	}
	s := t.shard(e.OrgID)
	s.Lock()
	o := s.orgs[e.OrgID]
	if o == nil {
		if s.orgs == nil {
			s.orgs = map[string]*orgEntries{}
		}
		o = &orgEntries{roles: map[string]*roleRules{}}
		s.orgs[strings.Clone(e.OrgID)] = o
		t.orgs.Add(1)
	}
	before := o.count
	if e.Role != "" {
		changed = o.addRole(e, r)
	} else {
		changed = r.min > o.all.min
		o.all = o.all.join(r)
		o.drop()
		o.recount()
	}
	t.entries.Add(int64(o.count - before))
	r = o.all
	s.Unlock()
	if e.Role == "" {
		t.dropMembers(e.OrgID, r)
	}
	return changed
}

// dropMembers forgets the entries about an organization's clients that its rule
// for all tokens covers.
func (t *revocationTable) dropMembers(org string, r rule) {
	for id := range t.members[org] {
		s := t.shard(id)
		s.Lock()
		c := s.clients[id]
		t.entries.Add(-int64(c.dropByPolicy(r)))
		if c.len() == 0 {
			t.dropClient(s, id, c)
		}
		s.Unlock()
	}
}

func (o *orgEntries) addRole(e *svcauth.Revocation, r rule) (changed bool) {
	if o.all.covers(r.min, r.exp) {
		return false
	}
	rules := o.roles[e.Role]
	if rules == nil {
		rules = &roleRules{}
		o.roles[strings.Clone(e.Role)] = rules
	}
	had := rules.len()
	defer func() { o.count += rules.len() - had }()
	spared := e.Spares()
	if e.Privilege == "" && spared == "" {
		changed = r.min > rules.whole.min
		rules.whole = rules.whole.join(r)
		rules.drop(rules.whole)
		return changed
	}
	if rules.whole.covers(r.min, r.exp) {
		return false
	}
	if spared != "" {
		return addUnless(&rules.unless, spared, aged{rule: r})
	}
	if rules.privileges == nil {
		rules.privileges = make(map[string]rule, 1)
	}
	old := rules.privileges[e.Privilege]
	rules.privileges[strings.Clone(e.Privilege)] = old.join(r)
	return r.min > old.min
}

func (r *roleRules) drop(by rule) {
	removeFrom(r.privileges, func(_ string, one rule) bool { return by.covers(one.min, one.exp) })
	r.unless.drop(func(one aged) bool { return by.covers(one.min, one.exp) })
}

// drop forgets the rules for roles that the rule for all tokens covers.
func (o *orgEntries) drop() {
	removeFrom(o.roles, func(_ string, rules *roleRules) bool {
		rules.drop(o.all)
		if o.all.covers(rules.whole.min, rules.whole.exp) {
			rules.whole = rule{}
		}
		return rules.len() == 0
	})
}

func (o *orgEntries) denies(c *Claims) (entry svcauth.Revocation, revoked bool) {
	if o == nil {
		return entry, false
	}
	if c.Policy < o.all.min {
		return svcauth.Revocation{OrgID: c.OrgID, MinPol: o.all.min, Exp: o.all.exp}, true
	}
	if len(o.roles) == 0 {
		return entry, false
	}
	for _, role := range c.Roles {
		rules := o.roles[role]
		if rules == nil {
			continue
		}
		if c.Policy < rules.whole.min {
			return svcauth.Revocation{OrgID: c.OrgID, Role: role, MinPol: rules.whole.min, Exp: rules.whole.exp}, true
		}
		if rules.unless != nil {
			if spared, r, ok := rules.unless.denies(c.Policy, c); ok {
				return svcauth.Revocation{
					OrgID: c.OrgID, Role: role, MinPol: r.min, UnlessBound: spared, Exp: r.exp,
				}, true
			}
		}
		if len(rules.privileges) == 0 {
			continue
		}
		for privilege := range strings.FieldsSeq(c.Scope) {
			if r, ok := rules.privileges[privilege]; ok && c.Policy < r.min {
				return svcauth.Revocation{
					OrgID:     c.OrgID,
					Role:      role,
					Privilege: privilege,
					MinPol:    r.min,
					Exp:       r.exp,
				}, true
			}
		}
	}
	return entry, false
}

// recount counts the rules after some have gone.
func (o *orgEntries) recount() {
	o.count = 0
	for _, rules := range o.roles {
		o.count += rules.len()
	}
	if o.all.min > 0 {
		o.count++
	}
}

func (r *roleRules) len() int {
	n := len(r.privileges) + r.unless.len()
	if r.whole.min > 0 {
		n++
	}
	return n
}

func (o *orgEntries) expire(before int64) (removed int) {
	had := o.count
	if o.all.exp < before {
		o.all = rule{}
	}
	removeFrom(o.roles, func(_ string, rules *roleRules) bool {
		removeFrom(rules.privileges, func(_ string, r rule) bool { return r.exp < before })
		rules.unless.drop(func(a aged) bool { return a.exp < before })
		if rules.whole.exp < before {
			rules.whole = rule{}
		}
		return rules.len() == 0
	})
	o.recount()
	return had - o.count
}
