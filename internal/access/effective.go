package access

import (
	"context"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/builtin"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// EffectivePrivileges is what a principal may do at one moment.
type EffectivePrivileges struct {
	Roles      []string  // names, sorted; Public only where it gives something
	Privileges []string  // sorted, once each
	ExpiresAt  time.Time // when the first of the grants behind it expires; zero: none does
	// Ends has those of the privileges that are held only by grants which
	// expire: when the last of these does.
	Ends map[string]time.Time

	given []store.HeldRole // the roles behind it
}

// RolesOf lists the roles that give one of the privileges, which must be
// sorted and among those held: names, sorted.
func (h EffectivePrivileges) RolesOf(privileges []string) []string {
	names := make([]string, 0, len(h.given))
	for _, r := range h.given {
		gives := r.Kind == store.RoleAdministrator && len(privileges) > 0
		for i := 0; i < len(r.Privileges) && !gives; i++ {
			_, gives = slices.BinarySearch(privileges, r.Privileges[i])
		}
		if gives {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// BindingRoles returns those of the named roles that are given by bound tokens
// only.
func (h EffectivePrivileges) BindingRoles(names []string) (binding []string) {
	for _, r := range h.given {
		if r.RequiresBinding && slices.Contains(names, r.Name) {
			binding = append(binding, r.Name)
		}
	}
	return binding
}

// Effective works out what roles give at a moment. Expired grants give nothing.
// Administrator gives every privilege that the organization can have. No role
// gives a tenant what only the operator's organization has. The console, the
// management API and the token endpoint all decide by this.
func Effective(held []store.HeldRole, catalogue []svcauth.Privilege, operator bool, now time.Time) EffectivePrivileges {
	var h EffectivePrivileges
	var byRole [][]string
	for _, r := range held {
		if r.ExpiresAtMS != 0 {
			expires := time.UnixMilli(r.ExpiresAtMS)
			if !expires.After(now) {
				continue
			}
			if h.ExpiresAt.IsZero() || expires.Before(h.ExpiresAt) {
				h.ExpiresAt = expires
			}
		}
		gives := RoleGives(r.Kind, r.Privileges, catalogue, operator)
		if r.Kind == store.RolePublic && len(gives) == 0 {
			continue
		}
		h.Roles, h.given = append(h.Roles, r.Name), append(h.given, r)
		h.Privileges, byRole = append(h.Privileges, gives...), append(byRole, gives)
	}
	if !h.ExpiresAt.IsZero() {
		h.Ends = ends(h.given, byRole)
	}
	slices.Sort(h.Roles)
	h.Roles = slices.Compact(h.Roles)
	slices.Sort(h.Privileges)
	h.Privileges = slices.Compact(h.Privileges)
	return h
}

// ends returns when the privileges end that only roles for a time give.
func ends(given []store.HeldRole, gives [][]string) map[string]time.Time {
	last := map[string]time.Time{}
	for i, r := range given {
		for _, p := range gives[i] {
			if at := time.UnixMilli(r.ExpiresAtMS); r.ExpiresAtMS != 0 && at.After(last[p]) {
				last[p] = at
			}
		}
	}
	for i, r := range given {
		for _, p := range gives[i] {
			if r.ExpiresAtMS == 0 {
				delete(last, p)
			}
		}
	}
	return last
}

// within returns what is held if all of it ends at a moment at the latest; nil:
// the same.
func (h EffectivePrivileges) within(end *time.Time) EffectivePrivileges {
	if end == nil {
		return h
	}
	earlier := make(map[string]time.Time, len(h.Privileges))
	for _, p := range h.Privileges {
		at, ok := h.Ends[p]
		if !ok || end.Before(at) {
			at = *end
		}
		earlier[p] = at
	}
	h.Ends = earlier
	return h
}

// Outlasting lists which of somebody's privileges end before a gift of them
// would, and when the first of these ends.
func (h EffectivePrivileges) Outlasting(gift EffectivePrivileges) (longer []string, first time.Time) {
	for _, p := range gift.Privileges {
		mine, ok := h.Ends[p]
		if given, ends := gift.Ends[p]; !ok || ends && !given.After(mine) {
			continue
		}
		longer = append(longer, p)
		if first.IsZero() || mine.Before(first) {
			first = mine
		}
	}
	return longer, first
}

// lacks lists those of a gift's privileges that are not held, or not for as
// long: sorted. A hold that ends before the gift does is none in full.
func (h EffectivePrivileges) lacks(gift EffectivePrivileges) []string {
	longer, _ := h.Outlasting(gift)
	all := append(without(gift.Privileges, h.Privileges), longer...)
	slices.Sort(all)
	return all
}

// RoleGives lists what one role gives in an organization. Administrator gives
// all that the catalogue has. If it has privileges, these are what the catalogue
// had when the role was read, and it gives no others.
func RoleGives(kind string, privileges []string, catalogue []svcauth.Privilege, operator bool) []string {
	all := kind == store.RoleAdministrator && len(privileges) == 0
	var has map[string]bool
	if len(privileges) > fewPrivileges {
		has = make(map[string]bool, len(privileges))
		for _, p := range privileges {
			has[p] = true
		}
	}
	var gives []string
	for _, p := range catalogue {
		if builtin.OperatorOnly(p.Name) && !operator {
			continue
		}
		if all || has[p.Name] || has == nil && slices.Contains(privileges, p.Name) {
			gives = append(gives, p.Name)
		}
	}
	return gives
}

// fewPrivileges is how many are found faster one after another.
const fewPrivileges = 16

// Effective reads what a principal may do now.
func (s *Service) Effective(
	ctx context.Context,
	q *store.Q,
	orgID string,
	operator bool,
	principalID string,
) (EffectivePrivileges, error) {
	held, err := q.HeldRoles(ctx, orgID, principalID)
	if err != nil {
		return EffectivePrivileges{}, err
	}
	catalogue, err := q.Privileges(ctx)
	if err != nil {
		return EffectivePrivileges{}, err
	}
	return Effective(held, catalogue, operator, s.now()), nil
}

// roleGives reads what one role gives.
func (s *Service) roleGives(ctx context.Context, q *store.Q, r store.RoleRow, operator bool) ([]string, error) {
	privileges, err := q.RolePrivileges(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	catalogue, err := q.Privileges(ctx)
	if err != nil {
		return nil, err
	}
	return RoleGives(r.Kind, privileges, catalogue, operator), nil
}
