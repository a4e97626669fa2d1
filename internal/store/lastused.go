package store

import (
	"context"
	"time"
)

// TouchClient notes when a client was last used, in ms. It never goes back, and says nothing where the client is gone.
func (q *Q) TouchClient(ctx context.Context, id string, ms int64) error {
	_, err := q.exec(ctx, `UPDATE client SET last_used_ms = $2 WHERE id = $1 AND (last_used_ms IS NULL OR last_used_ms < $2)`, id, ms)
	return err
}

// TouchSecret is [Q.TouchClient] for a secret.
func (q *Q) TouchSecret(ctx context.Context, id string, ms int64) error {
	_, err := q.exec(ctx, `UPDATE secret SET last_used_ms = $2 WHERE id = $1 AND (last_used_ms IS NULL OR last_used_ms < $2)`, id, ms)
	return err
}

// CountExpiringSecrets counts, up to limit, the secrets of all organizations that expire between now and soon and were used since the given moment.
func (q *Q) CountExpiringSecrets(ctx context.Context, now, soon, usedSince time.Time, limit int) (int64, error) {
	return count(ctx, q, `SELECT COUNT(*) FROM (SELECT 1 FROM secret WHERE expires_at_ms > $1 AND expires_at_ms <= $2 AND last_used_ms >= $3 LIMIT $4) AS few`,
		now.UnixMilli(), soon.UnixMilli(), usedSince.UnixMilli(), limit)
}
