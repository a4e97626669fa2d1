package store

import "context"

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
