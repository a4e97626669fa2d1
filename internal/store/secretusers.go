package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Together they keep the service accounts whose credentials that have not
// expired are all secrets.
const (
	onlySecrets = ` FROM client c JOIN credential s ON s.client_id = c.id
	WHERE c.org_id = $1 AND c.kind = '` + ClientServiceAccount + `'
	AND (s.expires_at_ms IS NULL OR s.expires_at_ms > $2)`

	havingOnlySecrets = ` GROUP BY c.id, c.name, c.disabled
	HAVING MIN(CASE WHEN s.kind = '` + CredentialSecret + `' THEN 1 ELSE 0 END) = 1`
)

// SecretUsers reads the organization's service accounts that have secrets and
// no other credential that works: those that used one last come first, at most
// limit.
func (q *Q) SecretUsers(ctx context.Context, orgID string, now time.Time, limit int) ([]svcauth.SecretUser, error) {
	return many(ctx, q, func(r row) (u svcauth.SecretUser, err error) {
		var used sql.NullInt64
		err = r.Scan(&u.ID, &u.Name, &u.Disabled, &used)
		u.LastUsedAt = moment(used)
		return u, err
	}, `SELECT c.id, c.name, c.disabled, MAX(s.last_used_ms)`+onlySecrets+havingOnlySecrets+`
		ORDER BY COALESCE(MAX(s.last_used_ms), 0) DESC, c.id LIMIT $3`, orgID, now.UnixMilli(), limit)
}

// OnlySecrets reports whether a service account has secrets and no other
// credential that works.
func (q *Q) OnlySecrets(ctx context.Context, orgID, clientID string, now time.Time) (bool, error) {
	n, err := count(ctx, q, `SELECT COUNT(*) FROM (SELECT c.id`+onlySecrets+` AND c.id = $3`+havingOnlySecrets+`) one`,
		orgID, now.UnixMilli(), clientID)
	return n > 0, err
}

// ApplicationKeyUse counts an organization's application keys, and returns when
// one of them was used last.
func (q *Q) ApplicationKeyUse(ctx context.Context, orgID string) (n int, last *time.Time, err error) {
	var used sql.NullInt64
	_, err = single(ctx, q, func(r row) (struct{}, error) {
		return struct{}{}, r.Scan(&n, &used)
	}, `SELECT COUNT(*), MAX(s.last_used_ms) FROM client c LEFT JOIN credential s ON s.client_id = c.id
		WHERE c.org_id = $1 AND c.kind = '`+ClientApplicationKey+`'`, orgID)
	return n, moment(used), err
}
