package store

import (
	"context"
	"database/sql"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const applicationKeySelect = `SELECT id, description, created_at_ms, member_id, created_by_name, ` + lastUseColumns + `
	FROM client`

// scanApplicationKey leaves the secret empty.
func scanApplicationKey(r row) (k svcauth.ApplicationKey, err error) {
	var created int64
	var used, usedGone sql.NullInt64
	err = r.Scan(&k.ID, &k.Description, &created, &k.Member.ID, &k.Member.Email, &used, &usedGone)
	k.ClientID, k.CreatedAt, k.LastUsedAt = k.ID, at(created), lastUse(used, usedGone)
	return k, err
}

// ApplicationKey reads a key of the organization, without its secret.
func (q *Q) ApplicationKey(ctx context.Context, orgID, id string) (svcauth.ApplicationKey, error) {
	return single(
		ctx, q, scanApplicationKey,
		applicationKeySelect+` WHERE org_id = $1 AND id = $2 AND member_id IS NOT NULL`,
		orgID, id,
	)
}

// ApplicationKeys reads a page of a member's keys, newest first, without their
// secrets: at most limit of those with an id below before. An empty before asks
// for the first page.
func (q *Q) ApplicationKeys(
	ctx context.Context, orgID, memberID, before string, limit int,
) ([]svcauth.ApplicationKey, error) {
	if before == "" {
		before = beyondIDs
	}
	return many(
		ctx, q, scanApplicationKey,
		applicationKeySelect+` WHERE org_id = $1 AND member_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4`,
		orgID, memberID, before, limit,
	)
}

// CountApplicationKeys counts a member's keys.
func (q *Q) CountApplicationKeys(ctx context.Context, orgID, memberID string) (int64, error) {
	return count(ctx, q, `SELECT COUNT(*) FROM client WHERE org_id = $1 AND member_id = $2`, orgID, memberID)
}
