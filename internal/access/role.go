package access

import (
	"context"
	"errors"
	"slices"
	"time"

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
		description, err := validDescription("body.description", n.Description)
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
			System: r.Kind != store.RoleCustom, Privileges: gives,
			Members: holders[r.ID].Members, ServiceAccounts: holders[r.ID].ServiceAccounts, CreatedAt: r.CreatedAt,
			Version: r.Version}
	}
	return roles, nil
}

// UpdateRole changes what patch names, if version is still the role's own (0:
// whatever it is). The caller must hold what is put on a role; what is taken
// off need not be held. Taking a privilege off kills the tokens that carry it
// by this role. A new name kills those that carry the old one. Adding kills
// nothing; the answer's warnings name secrets whose makers lack what was added.
// For a new name the caller must hold all that the role gives: somebody who
// assigns it by name next means the role that had that name. Administrator
// can't be changed. Public can, but keeps its name.
func (s *Service) UpdateRole(
	ctx context.Context,
	id string,
	version int64,
	patch svcauth.RolePatch,
) (changed svcauth.Role, err error) {
	op := Operation{
		Requires: svcauth.RolesManage,
		Action:   "role.update",
		Target:   svcauth.AuditTarget{Kind: "role", ID: id},
	}
	var kind string
	var gained []string
	var renamed bool
	err = s.Change(ctx, op, func(ctx context.Context, t *Tx) error {
		row, err := s.roleRow(ctx, t.Q, t.Actor.OrgID, id)
		if err != nil {
			return err
		}
		t.Target.Name = row.Name
		if version != 0 && version != row.Version {
			return store.ErrStale
		}
		old, err := s.describeRoles(ctx, t.Q, t.Actor.OrgID, row)
		if err != nil {
			return err
		}
		next, privileges, err := s.patchedRole(ctx, t, row, old[0].Privileges, patch)
		if err != nil {
			return err
		}
		if next == row && privileges == nil {
			t.Silent, changed = true, old[0]
			return nil
		}
		err = t.UpdateRole(ctx, next, privileges)
		if errors.Is(err, store.ErrConflict) {
			return roleNameTaken(next.Name)
		}
		if err != nil {
			return err
		}
		if err := t.takeFromRole(ctx, row, next.Name, old[0].Privileges, privileges); err != nil {
			return err
		}
		changed = old[0]
		changed.Name, changed.Description, changed.Version = next.Name, next.Description, row.Version+1
		if privileges != nil {
			changed.Privileges = privileges
		}
		t.Before, t.After = old[0], changed
		kind, gained, renamed = row.Kind, without(privileges, old[0].Privileges), next.Name != row.Name
		return nil
	})
	if err == nil && len(gained) > 0 { // outside the transaction, which keeps all others waiting
		if err := s.warnOfRole(ctx, &changed, kind, gained); err != nil {
			s.cfg.Logger.WarnContext(ctx,
				"who made the secrets of a changed role's accounts can't be read", "role", id,
				"error", err)
		}
	}
	if err == nil && (len(gained) > 0 || renamed) {
		changed.Oversized = s.oversized(ctx, changed.ID, "")
	}
	return changed, err
}

// oversized names the accounts that get too long a token by a change that has
// been made: those that hold a role, or one principal. The log hears of it too.
// If it can't be found out in time, nothing is said.
func (s *Service) oversized(ctx context.Context, roleID, principalID string) []svcauth.SizeWarning {
	actor, _ := ActorFrom(ctx)
	if s.cfg.Tokens == nil || !actor.Has(svcauth.MembersRead) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxOversizedLook)
	defer cancel()
	warnings, err := s.cfg.Tokens.Oversized(ctx, actor.OrgID, roleID, principalID)
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "whose tokens would be too long after a change can't be read",
			"role", roleID, "principal", principalID, "error", err)
	}
	for _, w := range warnings {
		s.cfg.Logger.WarnContext(ctx, "a change makes the tokens of an account too long", "account",
			w.ID, "characters", w.Characters, "max_size", w.Max)
	}
	return warnings
}

// maxOversizedLook is how long an answer waits for that.
const maxOversizedLook = 2 * time.Second

// patchedRole returns the role as it shall be, after checking that the caller
// may do that. privileges is nil unless they change.
func (s *Service) patchedRole(
	ctx context.Context,
	t *Tx,
	row store.RoleRow,
	had []string,
	patch svcauth.RolePatch,
) (next store.RoleRow, privileges []string, err error) {
	next = row
	if patch.Name != nil {
		if next.Name, err = ValidName("body.name", *patch.Name); err != nil {
			return next, nil, err
		}
	}
	if patch.Description != nil {
		if next.Description, err = validDescription("body.description", *patch.Description); err != nil {
			return next, nil, err
		}
	}
	if patch.Privileges != nil {
		if privileges, err = s.validPrivileges(ctx, t, "body.privileges", *patch.Privileges); err != nil {
			return next, nil, err
		}
		if slices.Equal(privileges, had) {
			privileges = nil
		} else if privileges == nil {
			privileges = []string{}
		}
	}
	switch {
	case row.Kind == store.RoleAdministrator && (next != row || privileges != nil):
		return next, nil, svcauth.NewProblem(svcauth.CodeForbidden,
			"The system role Administrator can't be changed: it always has every privilege. "+
				"Make a custom role instead.")
	case row.Kind == store.RolePublic && next.Name != row.Name:
		return next, nil, svcauth.NewProblem(svcauth.CodeForbidden,
			"The system role Public keeps its name. Its description and privileges can be changed.")
	}
	if next.Name != row.Name {
		stays := had
		if privileges != nil {
			stays = privileges
		}
		if err := t.mayHandOver(ctx, Handover{
			Gives: EffectivePrivileges{Privileges: stays},
			What:  "rename the role " + row.Name,
			End:   &t.Now,
		}); err != nil {
			return next, nil, err
		}
	}
	added := EffectivePrivileges{Privileges: without(privileges, had)}
	return next, privileges, t.mayHandOver(ctx, Handover{
		Gives: added,
		What:  "put these privileges on the role " + row.Name,
	})
}

// takeFromRole kills the tokens that carry what the role loses, and tells every
// node that the role has changed.
func (t *Tx) takeFromRole(ctx context.Context, row store.RoleRow, newName string, had, has []string) error {
	var err error
	if row.Name != newName { // the old name is in the tokens
		err = t.revokeRole(ctx, row.OrgID, row.Name)
	} else if lost := without(had, has); has != nil && len(lost) > 0 {
		err = t.revokeRole(ctx, row.OrgID, row.Name, lost...)
	} else if has == nil {
		return nil // only the description
	}
	if err != nil {
		return err
	}
	return t.touch(ctx, row.OrgID, store.ChangeRole, row.ID)
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
