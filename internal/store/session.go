package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"
)

// Sessions keeps the console's sessions, in the form that scs asks for (scs.CtxStore). Only the SHA-256 of a session's token is stored: who reads
// the database can't take one over.
type Sessions struct{ store *Store }

// Sessions gives the console's sessions.
func (s *Store) Sessions() *Sessions { return &Sessions{s} }

// FindCtx reads a session that has not expired.
func (s *Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	data, err = single(ctx, s.store.Read(), func(r row) (b []byte, err error) { return b, r.Scan(&b) },
		`SELECT data FROM session WHERE token_hash = $1 AND expires_at_ms > $2 AND length(data) > 0`, sessionKey("", token), time.Now().UnixMilli())
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// CommitCtx writes a session, which is dead after expiry. One that was ended
// stays so: another request may have read it before.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return s.store.WriteAside(ctx, func(q *Q) error {
		_, err := q.exec(ctx, `INSERT INTO session (token_hash, data, expires_at_ms) VALUES ($1, $2, $3)
			ON CONFLICT (token_hash) DO UPDATE SET data = excluded.data, expires_at_ms = excluded.expires_at_ms WHERE length(session.data) > 0`,
			sessionKey("", token), data, expiry.UnixMilli())
		return err
	})
}

// DeleteCtx ends a session. One that is not there is no error, and costs nothing
// if there can't be one.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	return s.store.WriteAside(ctx, func(q *Q) error {
		_, err := q.EndSession(ctx, token)
		return err
	})
}

// EndSession ends the session with a token and reports whether there was one that
// lived. Its row stays until it would have expired, without anything in it, so
// that nobody can write it again. It belongs into [Store.WriteAside].
func (q *Q) EndSession(ctx context.Context, token string) (ended bool, err error) {
	n, err := q.exec(ctx, `UPDATE session SET data = $2 WHERE token_hash = $1 AND length(data) > 0 AND expires_at_ms > $3`,
		sessionKey("", token), []byte{}, time.Now().UnixMilli())
	return n == 1, err
}

// Once says whether this is the first time that token is shown to it, on any node, and remembers it until expiry. The console marks with it the forms
// whose answer must not be given twice.
func (s *Sessions) Once(ctx context.Context, token string, expiry time.Time) (first bool, err error) {
	err = s.store.WriteAside(ctx, func(q *Q) error {
		n, err := q.exec(ctx, `INSERT INTO session (token_hash, data, expires_at_ms) VALUES ($1, $2, $3) ON CONFLICT (token_hash) DO NOTHING`,
			sessionKey("once", token), []byte{}, expiry.UnixMilli())
		first = n == 1
		return err
	})
	return first, err
}

// Find, Commit and Delete complete the interface for callers without a context.
func (s *Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is [Sessions.CommitCtx].
func (s *Sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is [Sessions.DeleteCtx].
func (s *Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// sessionKey keeps what is remembered for [Sessions.Once] out of the way of sessions: a token never has a NUL in it.
func sessionKey(kind, token string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
