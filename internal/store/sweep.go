package store

import (
	"context"
	"time"
)

// Sweep deletes up to limit expired rows of each kind and returns how many in
// all: entries of the change log, sessions, invitations, used assertions,
// recorders, refusals and, unless auditBefore is zero, audit events from before
// it. It belongs into [Store.WriteAside].
//
// It deletes small portions, so that it delays nobody, and leaves out rows that
// another transaction has locked. Two nodes sweep at the same time, and a
// revocation deletes what it makes superfluous: each would wait for rows that
// the other holds.
func (q *Q) Sweep(ctx context.Context, now, auditBefore time.Time, limit int) (deleted int64, err error) {
	kinds := []expiringRows{
		{"change", "seq", "expires_at_ms", now},
		{"session", "token_hash", "expires_at_ms", now},
		{"invitation", "token_hash", "expires_at_ms", now},
		{"assertion_use", "id", "expires_at_ms", now.Add(-usesKept)},
		{"assertion_use_batch", "id", "expires_at_ms", now.Add(-usesKept)},
		{"recorder", "node", "seen_at_ms", now.Add(-recorderKept)},
	}
	refusedBefore := now.Add(-RefusalKept)
	if !auditBefore.IsZero() { // what happened at that moment stays
		kinds = append(kinds, expiringRows{"audit_event", "id", "at_ms", auditBefore.Add(-time.Millisecond)})
		if auditBefore.After(refusedBefore) {
			refusedBefore = auditBefore.Add(-time.Millisecond)
		}
	}
	kinds = append(kinds, expiringRows{"refusal", "id", "last_ms", refusedBefore})
	for _, kind := range kinds {
		n, err := q.exec(ctx, `WITH gone AS MATERIALIZED (SELECT `+kind.key+` FROM `+kind.table+`
				WHERE `+kind.expiry+` <= $1 ORDER BY `+kind.expiry+` LIMIT $2`+q.skipLocked()+`)
			DELETE FROM `+kind.table+` WHERE `+kind.key+` IN (SELECT `+kind.key+` FROM gone)`,
			kind.upTo.UnixMilli(), limit)
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// usesKept is for how long a used assertion is kept after its end: a node whose
// clock is behind the sweeping one's still takes it.
const usesKept = 10 * time.Minute

// expiringRows are the rows of a table whose expiry column is at most upTo.
type expiringRows struct {
	table, key, expiry string
	upTo               time.Time
}
