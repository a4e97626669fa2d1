package store

import (
	"context"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// NameKey returns the form in which names are unique: without regard to case
// and outer space.
func NameKey(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

const organizationSelect = `SELECT id, name, operator, may_manage, password_off, shared_secrets,
	application_keys, created_at_ms, version
	FROM organization`

func scanOrganization(r row) (o svcauth.Organization, err error) {
	var created int64
	var passwordOff bool
	err = r.Scan(&o.ID, &o.Name, &o.Operator, &o.ServiceAccountsMayManageAccess, &passwordOff, &o.SharedSecrets,
		&o.ApplicationKeys, &created, &o.Version)
	o.CreatedAt, o.PasswordSignIn = at(created), svcauth.PasswordSignInOn
	if passwordOff {
		o.PasswordSignIn = svcauth.PasswordSignInOff
	}
	return o, err
}

// InsertOrganization adds an organization. It returns [ErrConflict] if the name
// is taken.
func (q *Q) InsertOrganization(ctx context.Context, o svcauth.Organization) error {
	_, err := q.exec(ctx, `INSERT INTO organization
		(id, name, name_key, operator, may_manage, pol, version, created_at_ms) VALUES ($1, $2, $3, $4, $5, 0, 1, $6)`,
		o.ID, o.Name, NameKey(o.Name), o.Operator, o.ServiceAccountsMayManageAccess, o.CreatedAt.UnixMilli())
	return err
}

// Organization reads one organization.
func (q *Q) Organization(ctx context.Context, id string) (svcauth.Organization, error) {
	return single(ctx, q, scanOrganization, organizationSelect+` WHERE id = $1 AND NOT removed`, id)
}

// OperatorOrganization reads the operator's own organization. It returns
// [ErrNotFound] before bootstrap.
func (q *Q) OperatorOrganization(ctx context.Context) (svcauth.Organization, error) {
	return single(ctx, q, scanOrganization, organizationSelect+` WHERE operator`)
}

// Organizations reads a page, newest first, of those with an id below before,
// which is empty for the first page.
func (q *Q) Organizations(ctx context.Context, before string, limit int) ([]svcauth.Organization, error) {
	return many(ctx, q, scanOrganization, organizationSelect+` WHERE ($1 = '' OR id < $1) AND NOT removed
		ORDER BY id DESC LIMIT $2`, before, limit)
}

// UpdateOrganization writes name and settings. It returns [ErrStale] if the
// version is no longer the given one.
func (q *Q) UpdateOrganization(ctx context.Context, o svcauth.Organization) error {
	return q.mustBeFresh(ctx, `UPDATE organization
		SET name = $1, name_key = $2, may_manage = $3, password_off = $4, shared_secrets = $5, application_keys = $6,
		version = version + 1 WHERE id = $7 AND version = $8 AND NOT removed`,
		o.Name, NameKey(o.Name), o.ServiceAccountsMayManageAccess, !o.PasswordMayEnter(), o.SharedSecrets,
		o.ApplicationKeys, o.ID, o.Version)
}

// RemoveOrganization hides an organization from now on: its name is free, and
// nobody can sign in to it or get a token in it. [Q.DeleteRemoved] deletes what
// is in it, except for its audit log.
func (q *Q) RemoveOrganization(ctx context.Context, id string) error {
	// No name's key begins with a space.
	return q.must(ctx, `UPDATE organization SET removed = TRUE, name_key = ' ' || id WHERE id = $1 AND NOT removed`, id)
}

// RaisePolicy raises the organization's pol by one and returns the new one.
func (q *Q) RaisePolicy(ctx context.Context, orgID string) (int64, error) {
	return count(ctx, q, `UPDATE organization SET pol = pol + 1 WHERE id = $1 RETURNING pol`, orgID)
}
