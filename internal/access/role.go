package access

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// CreateRole makes a custom role. The caller must itself hold every privilege that it puts on it.
func (s *Service) CreateRole(ctx context.Context, n svcauth.NewRole) (made svcauth.Role, err error) {
	op := operation{need: svcauth.RolesManage, action: "role.create", target: svcauth.AuditTarget{Kind: "role", Name: n.Name}}
	err = s.change(ctx, op, func(ctx context.Context, t *tx) error {
		name, err := validName("body.name", n.Name)
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
		if err := t.actor.mayHandOver(privileges, "put these privileges on a role"); err != nil {
			return err
		}
		if count, err := t.CountRoles(ctx, t.actor.OrgID); err != nil {
			return err
		} else if count >= svcauth.MaxRolesPerOrg {
			return svcauth.NewProblem(svcauth.CodeConflict, "An organization has at most %d roles. Delete one first.", svcauth.MaxRolesPerOrg)
		}
		row := store.RoleRow{ID: svcauth.NewIDAt(svcauth.PrefixRole, t.now), OrgID: t.actor.OrgID, Kind: store.RoleCustom, Name: name, Description: description, CreatedAt: t.now}
		err = t.InsertRole(ctx, row, privileges)
		if errors.Is(err, store.ErrConflict) {
			return svcauth.NewProblem(svcauth.CodeConflict, "A role with the name %q exists already. Choose another name.", name)
		}
		made = svcauth.Role{ID: row.ID, Name: name, Description: description, Privileges: privileges, CreatedAt: t.now, Version: 1}
		t.target.ID, t.after = row.ID, made
		return err
	})
	return made, err
}

// validPrivileges sorts the names and refuses those that the organization can't have.
func (s *Service) validPrivileges(ctx context.Context, t *tx, at string, names []string) ([]string, error) {
	if len(names) > svcauth.MaxPrivilegesPerRole {
		return nil, svcauth.InvalidField(at, "A role has at most %d privileges.", svcauth.MaxPrivilegesPerRole)
	}
	catalogue, err := t.Privileges(ctx)
	if err != nil {
		return nil, err
	}
	org, err := t.Organization(ctx, t.actor.OrgID)
	if err != nil {
		return nil, err
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(names)))
	known := RoleGives(store.RoleAdministrator, nil, catalogue, org.Operator)
	var unknown []string
	for _, p := range sorted {
		if !slices.Contains(known, p) {
			unknown = append(unknown, p)
		}
	}
	if len(unknown) > 0 {
		return nil, svcauth.InvalidField(at, "Unknown privileges: %s. The catalogue, GET /v1/privileges, lists those there are.", strings.Join(unknown, ", "))
	}
	return sorted, nil
}
