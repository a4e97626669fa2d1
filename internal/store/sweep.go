package store

import (
	"context"
	"time"
)

// Sweep deletes up to limit rows of each kind that nobody needs any more
// (expired changes, sessions, invitations; audit events from before auditBefore,
// unless that is zero) and returns how many in all. It belongs into
// [Store.WriteAside]. In small portions, so that it holds up nobody; and it
// leaves to the next one what somebody else works on, so that it waits for
// nobody: two nodes sweep at the same time, and a revocation deletes what it
// makes needless, so that each would wait for rows that the other holds.
func (q *Q) Sweep(ctx context.Context, now, auditBefore time.Time, limit int) (int64, error) {
	var total int64
	sweep := func(table, key, expiry string, before time.Time) error {
		n, err := q.exec(ctx, `WITH gone AS MATERIALIZED (SELECT `+key+` FROM `+table+` WHERE `+expiry+` <= $1 ORDER BY `+expiry+` LIMIT $2`+q.skipLocked()+`)
			DELETE FROM `+table+` WHERE `+key+` IN (SELECT `+key+` FROM gone)`, before.UnixMilli(), limit)
		total += n
		return err
	}
	err := sweep("change", "seq", "expires_at_ms", now)
	if err == nil {
		err = sweep("session", "token_hash", "expires_at_ms", now)
	}
	if err == nil {
		err = sweep("invitation", "token_hash", "expires_at_ms", now)
	}
	if err == nil {
		err = sweep("recorder", "node", "seen_at_ms", now.Add(-recorderKept))
	}
	if err == nil && !auditBefore.IsZero() {
		err = sweep("audit_event", "id", "at_ms", auditBefore.Add(-time.Millisecond)) // what happened at that moment stays
	}
	return total, err
}
