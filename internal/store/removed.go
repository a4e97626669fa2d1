package store

import (
	"context"
	"errors"
)

// ofLiving is the condition that the organization of a row (its org_id) has not
// been removed.
const ofLiving = ` AND EXISTS (SELECT 1 FROM organization o WHERE o.id = org_id AND NOT o.removed)`

// AnyRemoved reports whether there is something for [Q.DeleteRemoved] to
// delete.
func (q *Q) AnyRemoved(ctx context.Context) (bool, error) {
	n, err := count(ctx, q, `SELECT COUNT(*) FROM organization WHERE removed`)
	return n > 0, err
}

// DeleteRemoved deletes a portion of a removed organization and reports whether
// there was one: up to limit clients with their secrets and grants, or members
// if no clients are left, then roles, and at last the organization itself. No
// rule reads such rows any more, so it belongs into [Store.WriteAside].
func (q *Q) DeleteRemoved(ctx context.Context, limit int) (deleted bool, err error) {
	// The organization's row is locked, so that two nodes take one organization
	// after the other. Its other rows are locked, too, except for those whose
	// last use a node is writing: it locks them in another order, so each of
	// the two would wait for the other.
	id, err := single(ctx, q, scanText, `UPDATE organization SET removed = TRUE
		WHERE id = (SELECT id FROM organization WHERE removed ORDER BY id LIMIT 1) RETURNING id`)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, kind := range []struct{ page, grantsOf, table string }{
		{`SELECT id FROM client WHERE org_id = $1 ORDER BY kind, id LIMIT $2`, `principal_id`, `client`},
		{`SELECT id FROM member WHERE org_id = $1 ORDER BY email_key LIMIT $2`, `principal_id`, `member`},
		{`SELECT id FROM role WHERE org_id = $1 ORDER BY id LIMIT $2`, `role_id`, `role`},
	} {
		ids, err := many(ctx, q, scanText, kind.page+q.skipLocked(), id, limit)
		if err != nil {
			return false, err
		}
		if len(ids) == 0 {
			continue
		}
		list, args := in(nil, ids)
		_, err = q.exec(ctx, `DELETE FROM role_grant WHERE `+kind.grantsOf+` IN (`+list+`)`, args...)
		if err == nil {
			_, err = q.exec(ctx, `DELETE FROM `+kind.table+` WHERE id IN (`+list+`)`, args...)
		}
		return err == nil, err
	}
	return true, q.must(ctx, `DELETE FROM organization WHERE id = $1`, id)
}
