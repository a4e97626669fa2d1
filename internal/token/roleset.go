package token

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/store"
)

// roleSet is what some roles of an organization give together. It never
// changes, and clients that hold the same roles share it.
type roleSet struct {
	Roles   []store.HeldRole // the granted ones, expired or not, and Public
	catalog *catalogue
	held    access.EffectivePrivileges
	granted map[string]bool // held.Privileges
	apis    []string        // held.Privileges without this server's own
	capped  bool            // the credential has a ceiling: its tokens are never full

	// What a request that asks for nothing in particular gets.
	own   bool     // this server's privileges, as there are no others
	asked []string // the APIs of the privileges
	scope string
	usual atomic.Pointer[sharedDecision] // nil until one has needed it
}

func newRoleSet(roles []store.HeldRole, cat *catalogue, issuer string, operator bool, now time.Time) *roleSet {
	r := &roleSet{Roles: roles, catalog: cat, held: access.Effective(roles, cat.privileges, operator, now)}
	r.prepare(issuer)
	return r
}

// prepare works out what follows from the privileges held.
func (r *roleSet) prepare(issuer string) {
	r.granted = make(map[string]bool, len(r.held.Privileges))
	for _, p := range r.held.Privileges {
		r.granted[p] = true
	}
	r.apis = without(r.held.Privileges, func(p string) bool { return r.catalog.api[p] == issuer })
	privileges := r.apis
	if r.own = len(r.apis) == 0 && len(r.held.Privileges) > 0; r.own {
		privileges = r.held.Privileges
	}
	r.asked, r.scope = r.catalog.audiences(privileges), strings.Join(privileges, " ")
}

// roleSets keeps role sets that several clients may share. It is safe for
// concurrent use.
type roleSets struct {
	mu     sync.Mutex
	kept   map[string]*roleSet // by organization and roles
	weight int
}

// maxRoleSets bounds what is kept, at some 100 bytes each: a set counts once,
// and once for each of its roles and privileges. Beyond it all are forgotten,
// and those that clients in memory hold stay with these.
const maxRoleSets = 1 << 18

// of returns what a client's roles give now. A set with a role for a time is
// its client's alone.
func (s *roleSets) of(
	client *store.Credentials, roles []store.HeldRole, cat *catalogue, issuer string, now time.Time,
) *roleSet {
	if slices.ContainsFunc(roles, func(r store.HeldRole) bool { return r.ExpiresAtMS != 0 }) {
		return newRoleSet(roles, cat, issuer, client.Operator, now)
	}
	key := append(make([]byte, 0, 256), client.OrgID...)
	for _, r := range roles {
		key = append(append(key, ' '), r.ID...)
	}
	s.mu.Lock()
	kept := s.kept[string(key)]
	s.mu.Unlock()
	if kept != nil && kept.catalog == cat && slices.EqualFunc(kept.Roles, roles, store.HeldRole.Same) {
		return kept
	}
	fresh := newRoleSet(roles, cat, issuer, client.Operator, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || s.weight > maxRoleSets {
		s.kept, s.weight = map[string]*roleSet{}, 0
	}
	s.kept[string(key)] = fresh
	s.weight += 1 + len(roles) + len(fresh.granted)
	return fresh
}
