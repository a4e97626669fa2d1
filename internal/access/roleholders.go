package access

import (
	"context"
	"slices"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// RoleHolders is what each holder of a role would lose without it.
type RoleHolders struct {
	Holders []RoleHolder
	More    int // holders that are not listed: beyond the first 100, or all of them
}

// RoleHolder is one that holds a role.
type RoleHolder struct {
	ID, Kind, Name string   // [svcauth.KindMember] or [svcauth.KindServiceAccount]; an address or a name
	Loses          []string // privileges that no other role gives it now; sorted
}

const maxHoldersListed = 100

// RoleHolders lists the holders of a role by a grant and what each would lose
// with it, members first. The caller needs what [Service.Role] needs. A caller
// without members:read may not know who there is: it is told how many hold the
// role and nothing more.
func (s *Service) RoleHolders(ctx context.Context, id string) (all RoleHolders, err error) {
	role, err := s.Role(ctx, id)
	if err != nil {
		return all, err
	}
	actor, _ := ActorFrom(ctx)
	if !actor.Has(svcauth.MembersRead) {
		return RoleHolders{More: role.Members + role.ServiceAccounts}, nil
	}
	q := s.read()
	fail := func(err error) (RoleHolders, error) {
		return RoleHolders{}, Problem(err, svcauth.AuditTarget{Kind: "role"})
	}
	org, err := q.Organization(ctx, actor.OrgID)
	if err != nil {
		return fail(err)
	}
	catalogue, err := q.Privileges(ctx)
	if err != nil {
		return fail(err)
	}
	rows, err := q.NamedHolders(ctx, actor.OrgID, id, maxHoldersListed)
	if err != nil {
		return fail(err)
	}
	for _, row := range rows {
		held, err := q.HeldRoles(ctx, actor.OrgID, row.ID)
		if err != nil {
			return fail(err)
		}
		has := Effective(held, catalogue, org.Operator, s.now()).Privileges
		rest := Effective(
			slices.DeleteFunc(held, func(r store.HeldRole) bool { return r.ID == role.ID }),
			catalogue, org.Operator, s.now()).Privileges
		h := RoleHolder{ID: row.ID, Name: row.Name, Kind: svcauth.KindServiceAccount, Loses: without(has, rest)}
		if svcauth.ValidID(svcauth.PrefixMember, row.ID) {
			h.Kind = svcauth.KindMember
		}
		all.Holders = append(all.Holders, h)
	}
	all.More = max(0, role.Members+role.ServiceAccounts-len(all.Holders))
	return all, nil
}
