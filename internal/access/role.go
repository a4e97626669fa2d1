package access

import (
	"context"
	"errors"
	"slices"

	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// CreateRole makes a custom role. The caller must itself hold every privilege
// that it puts on it.
func (s *Service) CreateRole(ctx context.Context, n svcauth.NewRole) (made svcauth.Role, err error) {
	op := Operation{
		Requires: svcauth.RolesManage,
		Action:   "role.create",
		Target:   svcauth.AuditTarget{Kind: "role", Name: n.Name},
	}
	err = s.Change(ctx, op, func(ctx context.Context, t *Tx) error {
		name, err := ValidName("body.name", n.Name)
		if err != nil {
			return err
		}
		description, err := validDescription(n.Description)
		if err != nil {
			return err
		}
		privileges, err := s.validPrivileges(ctx, t, "body.privileges", n.Privileges)
		if err != nil {
			return err
		}
		if err := t.mayHandOver(ctx, Handover{
			Gives: EffectivePrivileges{Privileges: privileges},
			What:  "put these privileges on a role",
		}); err != nil {
			return err
		}
		if count, err := t.CountRoles(ctx, t.Actor.OrgID); err != nil {
			return err
		} else if count >= svcauth.MaxRolesPerOrg {
			return svcauth.NewProblem(svcauth.CodeConflict,
				"An organization has at most %d roles. Delete one first.", svcauth.MaxRolesPerOrg)
		}
		row := store.RoleRow{
			ID:          typeid.New(svcauth.PrefixRole, t.Now),
			OrgID:       t.Actor.OrgID,
			Kind:        store.RoleCustom,
			Name:        name,
			Description: description,
			CreatedAt:   t.Now,

			RequiresBinding: n.RequiresBinding,
		}
		err = t.InsertRole(ctx, row, privileges)
		if errors.Is(err, store.ErrConflict) {
			return roleNameTaken(name)
		}
		made = svcauth.Role{
			ID:          row.ID,
			Name:        name,
			Description: description,
			Privileges:  privileges,
			CreatedAt:   t.Now,
			Version:     1,

			RequiresBinding: n.RequiresBinding,
		}
		t.Target.ID, t.After = row.ID, made
		return err
	})
	return made, err
}

// Role reads one. It needs members:read, which shows what accounts are granted,
// or roles:manage.
func (s *Service) Role(ctx context.Context, id string) (svcauth.Role, error) {
	actor, err := s.mayReadRoles(ctx)
	if err != nil {
		return svcauth.Role{}, err
	}
	row, err := s.roleRow(ctx, s.read(), actor.OrgID, id)
	if err != nil {
		return svcauth.Role{}, Problem(err, svcauth.AuditTarget{Kind: "role"})
	}
	roles, err := s.describeRoles(ctx, s.read(), actor.OrgID, row)
	if err != nil {
		return svcauth.Role{}, Problem(err, svcauth.AuditTarget{Kind: "role"})
	}
	return roles[0], nil
}

// Roles returns a page of the organization's roles, newest first. The two
// system roles, being the oldest, come last.
func (s *Service) Roles(ctx context.Context, o svcauth.ListOptions) (list svcauth.List[svcauth.Role], err error) {
	actor, err := s.mayReadRoles(ctx)
	if err != nil {
		return list, err
	}
	before, limit, err := paging.Below(o, svcauth.PrefixRole)
	if err != nil {
		return list, err
	}
	rows, err := s.read().Roles(ctx, actor.OrgID, before, limit+1)
	if err != nil {
		return list, Problem(err, svcauth.AuditTarget{Kind: "role"})
	}
	read := paging.List(rows, limit, func(r store.RoleRow) string { return r.ID })
	list.NextCursor = read.NextCursor
	list.Items, err = s.describeRoles(ctx, s.read(), actor.OrgID, read.Items...)
	return list, Problem(err, svcauth.AuditTarget{Kind: "role"})
}

// mayReadRoles returns the actor if it may see roles.
func (s *Service) mayReadRoles(ctx context.Context) (Actor, error) {
	if a, ok := ActorFrom(ctx); ok && a.Has(svcauth.RolesManage) {
		return Caller(ctx, svcauth.RolesManage)
	}
	return Caller(ctx, svcauth.MembersRead)
}

func (s *Service) roleRow(ctx context.Context, q *store.Q, orgID, id string) (store.RoleRow, error) {
	if err := checkID(svcauth.PrefixRole, id); err != nil {
		return store.RoleRow{}, err
	}
	return q.Role(ctx, orgID, id)
}

// describeRoles turns rows of one organization into what a caller sees of them.
// The privileges are those that a role really gives.
func (s *Service) describeRoles(
	ctx context.Context,
	q *store.Q,
	orgID string,
	rows ...store.RoleRow,
) ([]svcauth.Role, error) {
	org, err := q.Organization(ctx, orgID)
	if err != nil {
		return nil, err
	}
	catalogue, err := q.Privileges(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	privileges, err := q.RolePrivilegesOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	holders, err := q.HoldersOf(ctx, ids)
	if err != nil {
		return nil, err
	}
	roles := make([]svcauth.Role, len(rows))
	for i, r := range rows {
		gives := append([]string{}, RoleGives(r.Kind, privileges[r.ID], catalogue, org.Operator)...)
		slices.Sort(gives)
		roles[i] = svcauth.Role{ID: r.ID, Name: r.Name, Description: r.Description,
			System: r.Kind != store.RoleCustom, Privileges: gives, RequiresBinding: r.RequiresBinding,
			Members: holders[r.ID].Members, ServiceAccounts: holders[r.ID].ServiceAccounts, CreatedAt: r.CreatedAt,
			Version: r.Version}
	}
	return roles, nil
}

// DeleteRole deletes a custom role and takes it from all who hold it. The
// tokens that carry it die.
func (s *Service) DeleteRole(ctx context.Context, id string) error {
	op := Operation{
		Requires: svcauth.RolesManage,
		Action:   "role.delete",
		Target:   svcauth.AuditTarget{Kind: "role", ID: id},
	}
	return s.Change(ctx, op, func(ctx context.Context, t *Tx) error {
		row, err := s.roleRow(ctx, t.Q, t.Actor.OrgID, id)
		if err != nil {
			return err
		}
		t.Target.Name = row.Name
		if row.Kind != store.RoleCustom {
			return svcauth.NewProblem(svcauth.CodeForbidden, "The system role %s can't be deleted.", row.Name)
		}
		old, err := s.describeRoles(ctx, t.Q, t.Actor.OrgID, row)
		if err != nil {
			return err
		}
		t.Before = old[0]
		if err := t.DeleteRole(ctx, row.OrgID, row.ID); err != nil {
			return err
		}
		if err := t.revokeRole(ctx, row.OrgID, row.Name); err != nil {
			return err
		}
		return t.touch(ctx, row.OrgID, store.ChangeRole, row.ID)
	})
}

func roleNameTaken(name string) error {
	return svcauth.NewProblem(svcauth.CodeConflict,
		"A role with the name %q exists already. Choose another name.", name)
}

// without lists what is in all and not in some.
func without(all, some []string) (rest []string) {
	for _, one := range all {
		if !slices.Contains(some, one) {
			rest = append(rest, one)
		}
	}
	return rest
}
