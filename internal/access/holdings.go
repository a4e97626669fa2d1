package access

import (
	"context"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Holdings is what a principal may do at one moment.
type Holdings struct {
	Roles      []string  // names, sorted; Public only where it gives something
	Privileges []string  // sorted, once each
	Until      time.Time // when the first of the grants behind it expires; zero: none does

	given []store.HeldRole // the roles behind it
}

// RolesOf lists the roles that give one of the privileges, which must be
// sorted and among those held: names, sorted.
func (h Holdings) RolesOf(privileges []string) []string {
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

// Hold works out what roles give at a moment: expired grants give nothing, Administrator gives every privilege that the organization can
// have, and no role gives a tenant what only the operator's organization has. The console, the management API and the token endpoint all
// decide by this.
func Hold(held []store.HeldRole, catalogue []svcauth.Privilege, operator bool, now time.Time) Holdings {
	var h Holdings
	for _, r := range held {
		if r.ExpiresAtMS != 0 {
			expires := time.UnixMilli(r.ExpiresAtMS)
			if !expires.After(now) {
				continue
			}
			if h.Until.IsZero() || expires.Before(h.Until) {
				h.Until = expires
			}
		}
		gives := RoleGives(r.Kind, r.Privileges, catalogue, operator)
		if r.Kind == store.RolePublic && len(gives) == 0 {
			continue
		}
		h.Roles, h.given = append(h.Roles, r.Name), append(h.given, r)
		h.Privileges = append(h.Privileges, gives...)
	}
	slices.Sort(h.Roles)
	h.Roles = slices.Compact(h.Roles)
	slices.Sort(h.Privileges)
	h.Privileges = slices.Compact(h.Privileges)
	return h
}

// RoleGives lists what one role gives in an organization.
func RoleGives(kind string, privileges []string, catalogue []svcauth.Privilege, operator bool) []string {
	var gives []string
	for _, p := range catalogue {
		if svcauth.OperatorOnly(p.Name) && !operator {
			continue
		}
		if kind == store.RoleAdministrator || slices.Contains(privileges, p.Name) {
			gives = append(gives, p.Name)
		}
	}
	return gives
}

// holdings reads what a principal may do now.
func (s *Service) holdings(ctx context.Context, q *store.Q, orgID string, operator bool, principalID string) (Holdings, error) {
	held, err := q.HeldRoles(ctx, orgID, principalID)
	if err != nil {
		return Holdings{}, err
	}
	catalogue, err := q.Privileges(ctx)
	if err != nil {
		return Holdings{}, err
	}
	return Hold(held, catalogue, operator, s.now()), nil
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
