package access

import (
	"context"
	"errors"
	"slices"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// UpdateRole changes what patch names, if version is still the role's own (0:
// whatever it is). The caller must hold what is put on a role; what is taken
// off need not be held. Taking a privilege off kills the tokens that carry it
// by this role. A new name kills those that carry the old one, and demanding
// bound tokens those that carry the role and are not bound. Adding kills
// nothing; the answer's warnings name secrets whose makers lack what was added.
// For a new name the caller must hold all that the role gives: somebody who
// assigns it by name next means the role that had that name. Administrator
// can't be changed. Public can, but keeps its name.
func (s *Service) UpdateRole(
	ctx context.Context,
	id string,
	version int64,
	patch svcauth.RolePatch,
) (_ svcauth.Role, err error) {
	op := Operation{
		Requires: svcauth.RolesManage,
		Action:   "role.update",
		Target:   svcauth.AuditTarget{Kind: "role", ID: id},
	}
	whom := byDefault{roleID: id}
	before, err := whom.before(ctx, s, op.Requires, patch.Caution)
	if err != nil {
		return svcauth.Role{}, err
	}
	var did roleUpdate
	err = s.Change(ctx, op, func(ctx context.Context, t *Tx) error {
		t.Caution = patch.Caution
		if did, err = s.updateRole(ctx, t, id, version, patch); err != nil || !did.gives() {
			return err
		}
		return t.judge(ctx, func(ctx context.Context) error {
			gained := svcauth.Role{ID: id}
			if err := s.warnOfRole(ctx, t.Q, &gained, did.kind, did.gained); err != nil {
				return err
			}
			t.warnOfCredentials(gained.Warnings, gained.MoreWarnings)
			return t.warnOfStopped(ctx, whom, before)
		})
	})
	if err != nil {
		return svcauth.Role{}, err
	}
	if len(did.gained) > 0 { // outside the transaction, which keeps all others waiting
		if err := s.warnOfRole(ctx, s.read(), &did.role, did.kind, did.gained); err != nil {
			s.cfg.Logger.WarnContext(ctx,
				"who made the secrets of a changed role's accounts can't be read", "role", id,
				"error", err)
		}
	}
	if did.gives() {
		did.role.DefaultRefused = s.defaultRefused(ctx, whom)
	}
	return did.role, nil
}

// roleUpdate is what became of a role.
type roleUpdate struct {
	role    svcauth.Role
	kind    string
	gained  []string // privileges
	renamed bool
}

// gives reports whether tokens may carry what they did not before.
func (r roleUpdate) gives() bool { return len(r.gained) > 0 || r.renamed }

// updateRole is [Service.UpdateRole] within its transaction.
func (s *Service) updateRole(
	ctx context.Context, t *Tx, id string, version int64, patch svcauth.RolePatch,
) (did roleUpdate, err error) {
	row, err := s.roleRow(ctx, t.Q, t.Actor.OrgID, id)
	if err != nil {
		return did, err
	}
	t.Target.Name = row.Name
	if version != 0 && version != row.Version {
		return did, store.ErrStale
	}
	described, err := s.describeRoles(ctx, t.Q, t.Actor.OrgID, row)
	if err != nil {
		return did, err
	}
	old := described[0]
	next, privileges, err := s.patchedRole(ctx, t, row, old.Privileges, patch)
	if err != nil {
		return did, err
	}
	if next == row && privileges == nil {
		t.Silent = true
		return roleUpdate{role: old}, nil
	}
	if err = t.UpdateRole(ctx, next, privileges); errors.Is(err, store.ErrConflict) {
		return did, roleNameTaken(next.Name)
	}
	if err == nil {
		err = t.takeFromRole(ctx, row, next, old.Privileges, privileges)
	}
	if err != nil {
		return did, err
	}
	changed := old
	changed.Name, changed.Description, changed.Version = next.Name, next.Description, row.Version+1
	changed.RequiresBinding = next.RequiresBinding
	if privileges != nil {
		changed.Privileges = privileges
	}
	t.Before, t.After = old, changed
	return roleUpdate{
		role: changed, kind: row.Kind, gained: without(privileges, old.Privileges), renamed: next.Name != row.Name,
	}, nil
}

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
		if next.Description, err = validDescription(*patch.Description); err != nil {
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
	if patch.RequiresBinding != nil {
		next.RequiresBinding = *patch.RequiresBinding
	}
	if err := systemRoleChange(row, next, privileges != nil); err != nil {
		return next, nil, err
	}
	if err := t.mayReshapeRole(ctx, row, next, had, privileges); err != nil {
		return next, nil, err
	}
	added := EffectivePrivileges{Privileges: without(privileges, had)}
	return next, privileges, t.mayHandOver(ctx, Handover{
		Gives: added,
		What:  "put these privileges on the role " + row.Name,
	})
}

// mayReshapeRole refuses a new name, and giving the role by tokens that are not
// bound, to a caller that does not hold what the role goes on to give.
func (t *Tx) mayReshapeRole(ctx context.Context, row, next store.RoleRow, had, has []string) error {
	stays := EffectivePrivileges{Privileges: had}
	if has != nil {
		stays.Privileges = has
	}
	if next.Name != row.Name {
		renamed := Handover{Gives: stays, What: "rename the role " + row.Name, End: &t.Now}
		if err := t.mayHandOver(ctx, renamed); err != nil {
			return err
		}
	}
	if row.RequiresBinding && !next.RequiresBinding {
		return t.mayHandOver(ctx, Handover{
			Gives: stays, What: "give the role " + row.Name + " by tokens that are not bound",
		})
	}
	return nil
}

// systemRoleChange refuses what a system role does not let be changed.
func systemRoleChange(row, next store.RoleRow, privileges bool) error {
	switch {
	case row.Kind == store.RoleAdministrator && (next != row || privileges):
		return svcauth.NewProblem(svcauth.CodeForbidden,
			"The system role Administrator can't be changed: it always has every privilege. "+
				"Make a custom role instead.")
	case row.Kind == store.RolePublic && next.Name != row.Name:
		return svcauth.NewProblem(svcauth.CodeForbidden,
			"The system role Public keeps its name. Its description and privileges can be changed.")
	}
	return nil
}

// takeFromRole kills the tokens that carry what the role loses, or that carry
// it without being bound as it demands from now on, and tells every node that
// the role has changed.
func (t *Tx) takeFromRole(ctx context.Context, row, next store.RoleRow, had, has []string) error {
	var dead []svcauth.Revocation
	if row.Name != next.Name { // the old name is in the tokens
		dead = []svcauth.Revocation{{Role: row.Name}}
	} else if has == nil && row.RequiresBinding == next.RequiresBinding {
		return nil // only the description
	} else {
		if has != nil {
			dead = ofPrivileges(row.Name, without(had, has))
		}
		if next.RequiresBinding && !row.RequiresBinding {
			dead = append(dead, svcauth.Revocation{Role: row.Name, UnlessBound: svcauth.TokenBindingAny})
		}
	}
	if len(dead) > 0 {
		if err := t.revokePolicy(ctx, row.OrgID, dead...); err != nil {
			return err
		}
	}
	return t.touch(ctx, row.OrgID, store.ChangeRole, row.ID)
}
