package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// SigningKeyRow is a signing key as it rests. The keyring has sealed the
// private key; this package can't open it.
type SigningKeyRow struct {
	svcauth.SigningKey
	PublicDER []byte // SubjectPublicKeyInfo
	Sealed    []byte
}

// SigningKeys reads all of them, newest first.
func (q *Q) SigningKeys(ctx context.Context) ([]SigningKeyRow, error) {
	return many(ctx, q, scanSigningKey, `SELECT kid, algorithm, state, public_der, sealed,
		created_at_ms, activated_at_ms, retired_at_ms, delete_after_ms FROM signing_key
		ORDER BY created_at_ms DESC, CASE WHEN activated_at_ms IS NULL THEN 0 ELSE 1 END, kid`)
}

func scanSigningKey(r row) (k SigningKeyRow, err error) {
	var created int64
	var activated, retired, deletion sql.NullInt64
	err = r.Scan(&k.KID, &k.Algorithm, &k.State, &k.PublicDER, &k.Sealed, &created, &activated, &retired, &deletion)
	k.CreatedAt, k.ActivatedAt = at(created), moment(activated)
	k.RetiredAt, k.DeleteAfter = moment(retired), moment(deletion)
	return k, err
}

// InsertSigningKey adds a key. It returns [ErrConflict] if there is one with
// this kid.
func (q *Q) InsertSigningKey(ctx context.Context, k SigningKeyRow) error {
	_, err := q.exec(ctx, `INSERT INTO signing_key
		(kid, algorithm, state, public_der, sealed, created_at_ms, activated_at_ms, retired_at_ms, delete_after_ms)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		k.KID, k.Algorithm, k.State, k.PublicDER, k.Sealed, k.CreatedAt.UnixMilli(),
		milliseconds(k.ActivatedAt), milliseconds(k.RetiredAt), milliseconds(k.DeleteAfter))
	return err
}

// ActivateSigningKey makes a next key the active one. It returns [ErrStale] if
// the key is no longer next.
func (q *Q) ActivateSigningKey(ctx context.Context, kid string, now time.Time) error {
	return q.mustBeFresh(ctx, `UPDATE signing_key SET state = $2, activated_at_ms = $3 WHERE kid = $1 AND state = $4`,
		kid, svcauth.KeyActive, now.UnixMilli(), svcauth.KeyNext)
}

// RetireSigningKey retires the active key. It returns [ErrStale] if the key is
// no longer active.
func (q *Q) RetireSigningKey(ctx context.Context, kid string, now, deleteAfter time.Time) error {
	return q.mustBeFresh(ctx, `UPDATE signing_key
		SET state = $2, retired_at_ms = $3, delete_after_ms = $4 WHERE kid = $1 AND state = $5`,
		kid, svcauth.KeyRetired, now.UnixMilli(), deleteAfter.UnixMilli(), svcauth.KeyActive)
}

// ResealSigningKey replaces the sealed form of the private key. It returns
// [ErrNotFound] if there is no such key.
func (q *Q) ResealSigningKey(ctx context.Context, kid string, sealed []byte) error {
	return q.must(ctx, `UPDATE signing_key SET sealed = $2 WHERE kid = $1`, kid, sealed)
}

// DeleteSigningKey deletes a key. It returns [ErrNotFound] if there is none.
func (q *Q) DeleteSigningKey(ctx context.Context, kid string) error {
	return q.must(ctx, `DELETE FROM signing_key WHERE kid = $1`, kid)
}

// SigningAlgorithm reads which algorithm signs what no profile asks another
// for: what the node that started last has configured. It is empty before the
// first start.
func (q *Q) SigningAlgorithm(ctx context.Context) (string, error) {
	return single(ctx, q, scanText, `SELECT algorithm FROM signing_algorithm WHERE id = 1`)
}

// SetSigningAlgorithm says what [Q.SigningAlgorithm] returns.
func (q *Q) SetSigningAlgorithm(ctx context.Context, algorithm string) error {
	return q.must(ctx, `UPDATE signing_algorithm SET algorithm = $1 WHERE id = 1`, algorithm)
}
