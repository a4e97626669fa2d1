package store

import (
	"context"
	"time"
)

// The kinds of entries of the change log.
const (
	ChangeRevocation = "revocation" // payload: one svcauth.Revocation as JSON
	ChangeClient     = "client"     // subject: the client whose snapshot is stale
	ChangeRole       = "role"       // subject: the role whose privileges, name or kind changed, or which is gone
	ChangeOrg        = "org"        // subject: the organization
	ChangeKeys       = "keys"       // the signing keys
	ChangeCatalog    = "catalog"    // the APIs and privileges
)

// Change is one entry of the change log.
type Change struct {
	Seq       int64  // rises by one with each entry, in the order of commits
	OrgID     string // whose; empty: everybody's
	Kind      string
	Subject   string
	Payload   string
	ExpiresAt time.Time // when nobody needs it any more
	At        time.Time // when it was written, by the writer's clock

	role, privilege, unlessBound string // of a revocation about those
}

// lockChanges locks the one row that makes writing transactions happen one
// after another.
func (q *Q) lockChanges(ctx context.Context) error {
	seq, err := count(ctx, q, `UPDATE change_counter SET seq = seq WHERE one = 1 RETURNING seq`)
	q.counter, q.locked = seq, seq
	return err
}

func (q *Q) storeCounter(ctx context.Context) error {
	if q.counter == q.locked {
		return nil
	}
	return q.must(ctx, `UPDATE change_counter SET seq = $1 WHERE one = 1`, q.counter)
}

// AddChange appends an entry to the change log and returns its seq. Only inside
// [Store.Write]. Revocations are [Q.AddRevocation]'s.
func (q *Q) AddChange(ctx context.Context, c Change) (seq int64, err error) {
	q.counter++
	c.Seq = q.counter
	q.written = append(q.written, c)
	_, err = q.exec(ctx, `INSERT INTO change
		(seq, org_id, kind, subject, role, privilege, unless_bound, payload, expires_at_ms, at_ms)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, q.counter, c.OrgID, c.Kind, c.Subject,
		c.role, c.privilege, c.unlessBound, c.Payload, c.ExpiresAt.UnixMilli(), time.Now().UnixMilli())
	return q.counter, err
}

const changeSelect = `SELECT seq, org_id, kind, subject, payload, expires_at_ms, at_ms FROM change`

// Changes reads up to limit entries after the given seq, in order.
func (q *Q) Changes(ctx context.Context, after int64, limit int) ([]Change, error) {
	return many(ctx, q, scanChange, changeSelect+` WHERE seq > $1 ORDER BY seq LIMIT $2`, after, limit)
}

// LiveRevocations reads up to limit revocations, after the given seq and not
// beyond upTo. [Q.Sweep] alone decides which are live, not the reader's clock:
// a fast one would leave out what still denies tokens elsewhere.
func (q *Q) LiveRevocations(ctx context.Context, after, upTo int64, limit int) ([]Change, error) {
	return many(ctx, q, scanChange, changeSelect+` WHERE seq > $1 AND seq <= $2 AND kind = $3 ORDER BY seq LIMIT $4`,
		after, upTo, ChangeRevocation, limit)
}

// LiveRevocationsOf is [Q.LiveRevocations] of one organization. It reads that
// organization's rows and no other.
func (q *Q) LiveRevocationsOf(ctx context.Context, orgID string, after, upTo int64, limit int) ([]Change, error) {
	return many(ctx, q, scanChange, liveRevocationsOf, orgID, after, upTo, limit)
}

// liveRevocationsOf names the kind in its text, as the index does: a partial
// index serves no query whose kind is a parameter.
const liveRevocationsOf = changeSelect + `
	WHERE (org_id, seq) > ($1, $2) AND (org_id, seq) <= ($1, $3) AND kind = 'revocation' ORDER BY org_id, seq LIMIT $4`

// LastChange returns the seq of the newest committed entry, or 0 if there is
// none.
func (q *Q) LastChange(ctx context.Context) (int64, error) {
	return count(ctx, q, `SELECT seq FROM change_counter WHERE one = 1`)
}

func scanChange(r row) (c Change, err error) {
	var expires, written int64
	err = r.Scan(&c.Seq, &c.OrgID, &c.Kind, &c.Subject, &c.Payload, &expires, &written)
	c.ExpiresAt, c.At = at(expires), at(written)
	return c, err
}
