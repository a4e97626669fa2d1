package store

import (
	"context"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// NamedHolders reads up to limit of those who hold a role by a grant: members,
// by address, then service accounts, by name.
func (q *Q) NamedHolders(ctx context.Context, orgID, roleID string, limit int) ([]svcauth.Ref, error) {
	return many(ctx, q, func(r row) (ref svcauth.Ref, err error) {
		var kind int
		return ref, r.Scan(&kind, &ref.ID, &ref.Name)
	}, `SELECT 1 AS kind, m.id AS id, m.email AS name FROM role_grant g JOIN member m ON m.id = g.principal_id
			WHERE g.org_id = $1 AND g.role_id = $2
		UNION ALL
		SELECT 2 AS kind, c.id AS id, c.name AS name FROM role_grant g JOIN client c ON c.id = g.principal_id
			WHERE g.org_id = $1 AND g.role_id = $2
		ORDER BY kind, name, id LIMIT $3`, orgID, roleID, limit)
}
