package store

import (
	"context"
	"time"
)

// DataKeyRow is a symmetric key as it rests, sealed by the keyring.
type DataKeyRow struct {
	Name      string
	Sealed    []byte
	CreatedAt time.Time
}

// DataKeys reads all of them, by name.
func (q *Q) DataKeys(ctx context.Context) ([]DataKeyRow, error) {
	return many(ctx, q, func(r row) (k DataKeyRow, err error) {
		var created int64
		err = r.Scan(&k.Name, &k.Sealed, &created)
		k.CreatedAt = at(created)
		return k, err
	}, `SELECT name, sealed, created_at_ms FROM data_key ORDER BY name`)
}

// InsertDataKey adds a key. It returns [ErrConflict] if there is one of this
// name.
func (q *Q) InsertDataKey(ctx context.Context, k DataKeyRow) error {
	_, err := q.exec(ctx, `INSERT INTO data_key (name, sealed, created_at_ms) VALUES ($1, $2, $3)`,
		k.Name, k.Sealed, k.CreatedAt.UnixMilli())
	return err
}

// ResealDataKey replaces the sealed form of a key. It returns [ErrNotFound] if
// there is none of this name.
func (q *Q) ResealDataKey(ctx context.Context, name string, sealed []byte) error {
	return q.must(ctx, `UPDATE data_key SET sealed = $2 WHERE name = $1`, name, sealed)
}
