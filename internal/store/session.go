package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"
)

// Sessions keeps the console's sessions, as a scs.CtxStore. It stores only the
// SHA-256 of a session's token, so reading the database is not enough to take a
// session over.
type Sessions struct{ store *Store }

// Sessions returns the console's sessions.
func (s *Store) Sessions() *Sessions { return &Sessions{s} }

// FindCtx reads a session that has not expired.
func (s *Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	data, err = single(ctx, s.store.Read(), func(r row) (b []byte, err error) { return b, r.Scan(&b) },
		`SELECT data FROM session WHERE token_hash = $1 AND expires_at_ms > $2 AND length(data) > 0`,
		sessionKey("", token), time.Now().UnixMilli())
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// CommitCtx writes a session, which ends at expiry. One that was ended before
// stays so, although another request may have read it while it lived.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return s.store.WriteAside(ctx, func(q *Q) error {
		_, err := q.exec(ctx, `INSERT INTO session (token_hash, data, expires_at_ms) VALUES ($1, $2, $3)
			ON CONFLICT (token_hash) DO UPDATE SET data = excluded.data, expires_at_ms = excluded.expires_at_ms
			WHERE length(session.data) > 0`,
			sessionKey("", token), data, expiry.UnixMilli())
		return err
	})
}

// DeleteCtx ends a session. It returns nil if there is none.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	return s.store.WriteAside(ctx, func(q *Q) error {
		_, err := q.EndSession(ctx, token)
		return err
	})
}

// EndSession ends the session with a token and reports whether there was a live
// one. Its row stays, empty, until it would have expired, so that nobody can
// write it again. It belongs into [Store.WriteAside].
func (q *Q) EndSession(ctx context.Context, token string) (ended bool, err error) {
	n, err := q.exec(ctx, `UPDATE session SET data = $2
		WHERE token_hash = $1 AND length(data) > 0 AND expires_at_ms > $3`,
		sessionKey("", token), []byte{}, time.Now().UnixMilli())
	return n == 1, err
}

// Once reports whether it is called with token for the first time, on any node,
// and remembers the token until expiry. The console uses it for forms whose
// answer must not be given twice.
func (s *Sessions) Once(ctx context.Context, token string, expiry time.Time) (first bool, err error) {
	err = s.store.WriteAside(ctx, func(q *Q) error {
		n, err := q.exec(ctx, `INSERT INTO session (token_hash, data, expires_at_ms) VALUES ($1, $2, $3)
			ON CONFLICT (token_hash) DO NOTHING`,
			sessionKey("once", token), []byte{}, expiry.UnixMilli())
		first = n == 1
		return err
	})
	return first, err
}

// Find is [Sessions.FindCtx]. With Commit and Delete it completes scs.Store.
func (s *Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is [Sessions.CommitCtx].
func (s *Sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is [Sessions.DeleteCtx].
func (s *Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// sessionKey returns the key of a row. kind keeps what [Sessions.Once]
// remembers apart from sessions, since a token never has a NUL in it.
func sessionKey(kind, token string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
