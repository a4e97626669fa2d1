package store

import (
	"context"
	"fmt"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// RoleRow is a role without its privileges.
type RoleRow struct {
	ID, OrgID, Kind, Name, Description string
	CreatedAt                          time.Time
	RequiresBinding                    bool
	Version                            int64
}

const roleSelect = `SELECT r.id, r.org_id, r.kind, r.name, r.description, r.created_at_ms, r.requires_binding, r.version
	FROM role r`

func scanRole(r row) (o RoleRow, err error) {
	var created int64
	err = r.Scan(&o.ID, &o.OrgID, &o.Kind, &o.Name, &o.Description, &created, &o.RequiresBinding, &o.Version)
	o.CreatedAt = at(created)
	return o, err
}

// InsertRole adds a role with its privileges. It returns [ErrConflict] if the
// name is taken.
func (q *Q) InsertRole(ctx context.Context, r RoleRow, privileges []string) error {
	_, err := q.exec(ctx, `INSERT INTO role (id, org_id, kind, name, name_key, description, created_at_ms,
			requires_binding, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1)`,
		r.ID, r.OrgID, r.Kind, r.Name, NameKey(r.Name), r.Description, r.CreatedAt.UnixMilli(), r.RequiresBinding)
	if err != nil {
		return err
	}
	return q.addRolePrivileges(ctx, r.ID, privileges)
}

func (q *Q) addRolePrivileges(ctx context.Context, roleID string, privileges []string) error {
	for _, p := range privileges {
		_, err := q.exec(ctx, `INSERT INTO role_privilege (role_id, privilege) VALUES ($1, $2)`, roleID, p)
		if err != nil {
			return err
		}
	}
	return nil
}

// Role reads one role of the organization.
func (q *Q) Role(ctx context.Context, orgID, id string) (RoleRow, error) {
	return single(ctx, q, scanRole, roleSelect+` WHERE r.org_id = $1 AND r.id = $2`, orgID, id)
}

// SystemRole reads the organization's Administrator or Public by kind.
func (q *Q) SystemRole(ctx context.Context, orgID, kind string) (RoleRow, error) {
	return single(ctx, q, scanRole, roleSelect+` WHERE r.org_id = $1 AND r.kind = $2`, orgID, kind)
}

// AdministratorRoles reads the Administrator of every organization.
func (q *Q) AdministratorRoles(ctx context.Context) ([]RoleRow, error) {
	return many(ctx, q, scanRole, roleSelect+` WHERE r.kind = $1 ORDER BY r.id`, RoleAdministrator)
}

// Roles reads a page, newest first, of those with an id below before, which is
// empty for the first page.
func (q *Q) Roles(ctx context.Context, orgID, before string, limit int) ([]RoleRow, error) {
	return many(ctx, q, scanRole, roleSelect+` WHERE r.org_id = $1 AND ($2 = '' OR r.id < $2)
		ORDER BY r.id DESC LIMIT $3`, orgID, before, limit)
}

// CountRoles counts the organization's roles.
func (q *Q) CountRoles(ctx context.Context, orgID string) (int64, error) {
	return count(ctx, q, `SELECT COUNT(*) FROM role WHERE org_id = $1`, orgID)
}

// RolePrivileges reads the privileges of a role, sorted.
func (q *Q) RolePrivileges(ctx context.Context, roleID string) ([]string, error) {
	return many(ctx, q, scanText, `SELECT privilege FROM role_privilege WHERE role_id = $1 ORDER BY privilege`, roleID)
}

// RolePrivilegesOf reads the privileges of several roles, by the role's id. It
// is for lists.
func (q *Q) RolePrivilegesOf(ctx context.Context, roles []string) (map[string][]string, error) {
	held := make(map[string][]string, len(roles))
	if len(roles) == 0 {
		return held, nil
	}
	list, args := in(nil, roles)
	_, err := many(ctx, q, func(r row) (struct{}, error) {
		var role, privilege string
		err := r.Scan(&role, &privilege)
		held[role] = append(held[role], privilege)
		return struct{}{}, err
	}, `SELECT role_id, privilege FROM role_privilege WHERE role_id IN (`+list+`) ORDER BY privilege`, args...)
	return held, err
}

// MaxCountedHolders is where counting the holders of a role ends: counting a
// million of them would take longer than anybody waits.
const MaxCountedHolders = 2000

// Holders counts those who hold a role by a grant, each kind up to
// [MaxCountedHolders].
type Holders struct{ Members, ServiceAccounts int }

// HoldersOf counts the holders of several roles, by the role's id. It is for
// lists.
func (q *Q) HoldersOf(ctx context.Context, roles []string) (map[string]Holders, error) {
	counted := make(map[string]Holders, len(roles))
	if len(roles) == 0 {
		return counted, nil
	}
	const countOfKind = `(SELECT COUNT(*) FROM (SELECT 1 AS one FROM role_grant g
		WHERE g.role_id = r.id AND g.principal_id >= $%d AND g.principal_id < $%d LIMIT $1) AS found)`
	list, args := in([]any{
		MaxCountedHolders,
		svcauth.PrefixMember + "_", svcauth.PrefixMember + "`", // ` follows _
		svcauth.PrefixServiceAccount + "_", svcauth.PrefixServiceAccount + "`",
	}, roles)
	_, err := many(ctx, q, func(r row) (struct{}, error) {
		var id string
		var h Holders
		err := r.Scan(&id, &h.Members, &h.ServiceAccounts)
		counted[id] = h
		return struct{}{}, err
	}, `SELECT r.id, `+fmt.Sprintf(countOfKind, 2, 3)+`, `+fmt.Sprintf(countOfKind, 4, 5)+`
		FROM role r WHERE r.id IN (`+list+`)`, args...)
	return counted, err
}

// UpdateRole writes what a row has and, unless privileges is nil,
// replaces the privileges. It returns [ErrStale] if the version is no longer
// the given one.
func (q *Q) UpdateRole(ctx context.Context, r RoleRow, privileges []string) error {
	err := q.mustBeFresh(ctx, `UPDATE role
		SET name = $1, name_key = $2, description = $3, requires_binding = $4, version = version + 1
		WHERE org_id = $5 AND id = $6 AND version = $7`,
		r.Name, NameKey(r.Name), r.Description, r.RequiresBinding, r.OrgID, r.ID, r.Version)
	if err != nil || privileges == nil {
		return err
	}
	if _, err := q.exec(ctx, `DELETE FROM role_privilege WHERE role_id = $1`, r.ID); err != nil {
		return err
	}
	return q.addRolePrivileges(ctx, r.ID, privileges)
}

// RemoveRolePrivilege takes one privilege off a role. It returns [ErrNotFound]
// if the role does not have it.
func (q *Q) RemoveRolePrivilege(ctx context.Context, roleID, privilege string) error {
	return q.must(ctx, `DELETE FROM role_privilege WHERE role_id = $1 AND privilege = $2`, roleID, privilege)
}

// DeleteRole deletes a role with its privileges and all its grants.
func (q *Q) DeleteRole(ctx context.Context, orgID, id string) error {
	return q.must(ctx, `DELETE FROM role WHERE org_id = $1 AND id = $2`, orgID, id)
}
