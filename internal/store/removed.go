package store

import (
	"context"
	"errors"
)

// ofLiving is the condition that the organization of a row (its org_id) has not been removed.
const ofLiving = ` AND EXISTS (SELECT 1 FROM organization o WHERE o.id = org_id AND NOT o.removed)`

// AnyRemoved says whether there is something for [Q.DeleteRemoved] to do.
func (q *Q) AnyRemoved(ctx context.Context) (bool, error) {
	n, err := count(ctx, q, `SELECT COUNT(*) FROM organization WHERE removed`)
	return n > 0, err
}

// DeleteRemoved deletes a portion of a removed organization: up to limit clients with their secrets and grants, or where there are none left, members, then roles, and at last
// the organization itself. It says whether it deleted anything. No rule reads such rows any more: it belongs into [Store.WriteAside].
func (q *Q) DeleteRemoved(ctx context.Context, limit int) (bool, error) {
	// Its row is locked, so that two nodes take one organization after the other;
	// and its rows are, but for those whose last use a node is noting: deleted in
	// another order than they are noted in, each would wait for the other.
	id, err := single(ctx, q, scanID, `UPDATE organization SET removed = TRUE WHERE id = (SELECT id FROM organization WHERE removed ORDER BY id LIMIT 1) RETURNING id`)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, of := range []struct{ page, grants, rows string }{
		{`SELECT id FROM client WHERE org_id = $1 ORDER BY kind, id LIMIT $2`, `DELETE FROM role_grant WHERE principal_id IN `, `DELETE FROM client WHERE id IN `},
		{`SELECT id FROM member WHERE org_id = $1 ORDER BY email_key LIMIT $2`, `DELETE FROM role_grant WHERE principal_id IN `, `DELETE FROM member WHERE id IN `},
		{`SELECT id FROM role WHERE org_id = $1 ORDER BY id LIMIT $2`, `DELETE FROM role_grant WHERE role_id IN `, `DELETE FROM role WHERE id IN `},
	} {
		ids, err := many(ctx, q, scanID, of.page+q.skipLocked(), id, limit)
		if err != nil {
			return false, err
		}
		if len(ids) == 0 {
			continue
		}
		list, args := in(nil, ids)
		if _, err := q.exec(ctx, of.grants+`(`+list+`)`, args...); err != nil {
			return false, err
		}
		_, err = q.exec(ctx, of.rows+`(`+list+`)`, args...)
		return true, err
	}
	return true, q.must(ctx, `DELETE FROM organization WHERE id = $1`, id)
}

func scanID(r row) (id string, err error) { return id, r.Scan(&id) }
