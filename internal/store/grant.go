package store

import (
	"cmp"
	"context"
	"database/sql"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// GrantRow is one role held by one principal (a member or a service account).
// ID tells it from the grants of the same pair before and after it.
type GrantRow struct {
	ID, OrgID, PrincipalID, RoleID string
	GrantedAt                      time.Time
	ExpiresAt                      *time.Time
}

const grantSelect = `SELECT id, org_id, principal_id, role_id, granted_at_ms, expires_at_ms FROM role_grant`

func scanGrant(r row) (g GrantRow, err error) {
	var granted int64
	var expires sql.NullInt64
	err = r.Scan(&g.ID, &g.OrgID, &g.PrincipalID, &g.RoleID, &granted, &expires)
	g.GrantedAt, g.ExpiresAt = at(granted), moment(expires)
	return g, err
}

// PutGrant adds a grant, or changes id and expiry of the pair's. It makes an id
// if there is none. It returns [ErrReferenced] if there is no such role.
func (q *Q) PutGrant(ctx context.Context, g GrantRow) error {
	_, err := q.exec(ctx, `INSERT INTO role_grant (org_id, principal_id, role_id, granted_at_ms, expires_at_ms, id)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (principal_id, role_id) DO UPDATE SET expires_at_ms = excluded.expires_at_ms, id = excluded.id`,
		g.OrgID, g.PrincipalID, g.RoleID, g.GrantedAt.UnixMilli(), milliseconds(g.ExpiresAt),
		cmp.Or(g.ID, svcauth.NewID(svcauth.PrefixGrant)))
	return err
}

// Grant reads the grant of a pair.
func (q *Q) Grant(ctx context.Context, orgID, principalID, roleID string) (GrantRow, error) {
	return single(ctx, q, scanGrant, grantSelect+` WHERE org_id = $1 AND principal_id = $2 AND role_id = $3`,
		orgID, principalID, roleID)
}

// CountGrants counts the roles that a principal holds by a grant.
func (q *Q) CountGrants(ctx context.Context, orgID, principalID string) (int64, error) {
	return count(ctx, q, `SELECT COUNT(*) FROM role_grant WHERE org_id = $1 AND principal_id = $2`, orgID, principalID)
}

// Grants reads the roles that a principal holds by a grant, newest grant first.
func (q *Q) Grants(ctx context.Context, orgID, principalID string) ([]svcauth.Grant, error) {
	return many(ctx, q, func(r row) (g svcauth.Grant, err error) {
		var granted int64
		var expires sql.NullInt64
		err = r.Scan(&g.ID, &g.RoleID, &g.Name, &granted, &expires)
		g.GrantedAt, g.ExpiresAt = at(granted), moment(expires)
		return g, err
	}, `SELECT g.id, r.id, r.name, g.granted_at_ms, g.expires_at_ms FROM role_grant g JOIN role r ON r.id = g.role_id
		WHERE g.org_id = $1 AND g.principal_id = $2 ORDER BY g.granted_at_ms DESC, r.id DESC`, orgID, principalID)
}

// GrantsOf reads the roles that several principals hold by a grant, by the
// principal's id. It is for lists.
func (q *Q) GrantsOf(ctx context.Context, orgID string, principals []string) (map[string][]svcauth.Ref, error) {
	held := make(map[string][]svcauth.Ref, len(principals))
	if len(principals) == 0 {
		return held, nil
	}
	list, args := in([]any{orgID}, principals)
	_, err := many(ctx, q, func(r row) (struct{}, error) {
		var principal string
		var ref svcauth.Ref
		err := r.Scan(&principal, &ref.ID, &ref.Name)
		held[principal] = append(held[principal], ref)
		return struct{}{}, err
	}, `SELECT g.principal_id, r.id, r.name FROM role_grant g JOIN role r ON r.id = g.role_id
		WHERE g.org_id = $1 AND g.principal_id IN (`+list+`) ORDER BY r.name_key`, args...)
	return held, err
}

// DeleteGrant takes a role from a principal. It returns [ErrNotFound] if the
// principal does not hold it.
func (q *Q) DeleteGrant(ctx context.Context, orgID, principalID, roleID string) error {
	return q.must(ctx, `DELETE FROM role_grant WHERE org_id = $1 AND principal_id = $2 AND role_id = $3`,
		orgID, principalID, roleID)
}

// DeleteGrantsOf takes every role from a principal that is being deleted.
func (q *Q) DeleteGrantsOf(ctx context.Context, orgID, principalID string) error {
	_, err := q.exec(ctx, `DELETE FROM role_grant WHERE org_id = $1 AND principal_id = $2`, orgID, principalID)
	return err
}

// ExpiredGrants reads up to limit expired grants of all organizations.
func (q *Q) ExpiredGrants(ctx context.Context, now time.Time, limit int) ([]GrantRow, error) {
	return many(ctx, q, scanGrant, grantSelect+` WHERE expires_at_ms <= $1 ORDER BY expires_at_ms LIMIT $2`,
		now.UnixMilli(), limit)
}

// NextExpiry returns when the first of all grants that expire does so, which
// may be in the past. It returns [ErrNotFound] if none expires.
func (q *Q) NextExpiry(ctx context.Context) (time.Time, error) {
	ms, err := count(ctx, q, `SELECT expires_at_ms FROM role_grant WHERE expires_at_ms IS NOT NULL
		ORDER BY expires_at_ms LIMIT 1`)
	return at(ms), err
}
