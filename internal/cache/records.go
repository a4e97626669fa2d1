package cache

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

const (
	maxPerClient = 1000 // token records kept of one client, the newest
	maxID        = 128  // bytes of an id; ours have about 30
	maxUserAgent = 256
	maxScope     = 1024
	maxRoles     = 100 // svcauth.MaxRolesPerPrincipal; names have 256 bytes at most
)

// TokenRecord is what is remembered of an issued token for the people who look after its client. It never holds the token.
type TokenRecord struct {
	JTI       string    `json:"jti"`
	ClientID  string    `json:"client_id"`
	OrgID     string    `json:"org_id"`
	SecretID  string    `json:"secret_id,omitempty"`
	Scope     string    `json:"scope,omitempty"`      // cut after 1024 bytes
	IP        string    `json:"ip,omitempty"`         // of the caller
	UserAgent string    `json:"user_agent,omitempty"` // cut after 256 bytes
	Epoch     int64     `json:"epoch,omitempty"`      // the token's claims, so that a reader can tell whether a later revocation denies it
	Pol       int64     `json:"pol,omitempty"`
	Roles     []string  `json:"roles,omitempty"` // the first 100
	IssuedAt  time.Time `json:"iat"`
	ExpiresAt time.Time `json:"exp"`

	span *trace.SpanContext // of the request, until the record is in Redis; nil: it is not traced
}

// shortest is the least lifetime that is kept: in Redis one of zero would be for ever, and one below a millisecond is rounded.
const shortest = time.Millisecond

// bounded returns r with every text cut to its limit, and whether it is worth keeping: it names a token and a client, and has not expired.
func (r TokenRecord) bounded(now time.Time) (TokenRecord, bool) {
	if !isID(r.JTI) || !isID(r.ClientID) || r.ExpiresAt.Sub(now) < shortest {
		return r, false
	}
	r.OrgID, r.SecretID, r.IP = cut(r.OrgID, maxID), cut(r.SecretID, maxID), cut(r.IP, maxID)
	r.Roles = r.Roles[:min(maxRoles, len(r.Roles))]
	r.Scope, r.UserAgent = cut(r.Scope, maxScope), cut(r.UserAgent, maxUserAgent)
	return r, true
}

// isID keeps foreign text out of the names of keys, braces above all: they choose the slot in Redis Cluster.
func isID(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '{' || c == '}' {
			return false
		}
	}
	return s != "" && len(s) <= maxID
}

func cut(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "") // a copy only where it must be; a request's text is a string of its own anyway
}

// newestFirst orders records for people, and the same way in both stores.
func newestFirst(records []TokenRecord) []TokenRecord {
	slices.SortFunc(records, func(a, b TokenRecord) int {
		if n := b.IssuedAt.Compare(a.IssuedAt); n != 0 {
			return n
		}
		return strings.Compare(b.JTI, a.JTI)
	})
	return records
}

// RecordToken remembers an issued token until it expires. It never waits: with Redis the record is queued for [Cache.Run], and dropped and counted where the
// queue is full. Of one client the newest 1,000 are kept. ctx is the request's; of it only the trace is looked at, for [Config.OnRecorded].
func (c *Cache) RecordToken(ctx context.Context, r TokenRecord) {
	r, ok := r.bounded(c.cfg.Clock())
	if !ok {
		return
	}
	if c.cfg.OnRecorded != nil {
		if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
			r.span = &span
		}
	}
	c.records.record(r)
}

// MarkRevoked notes that a token is revoked, until the revocation is no longer
// kept: its record is forgotten, and whoever reads Redis finds the key
// <prefix>{<jti>}:revoked. It never waits. It is a hint; what counts is the
// change log.
func (c *Cache) MarkRevoked(jti string, until time.Time) {
	if isID(jti) && until.Sub(c.cfg.Clock()) >= shortest {
		c.records.revoke(jti, until)
	}
}

// Tokens returns the records of a client's live tokens, newest first, and
// reports whether there may be more than these: of one client the newest 1,000
// are kept, records of the organization may have had to give way, an earlier
// process or another node may have had its own, and Redis may have lost or
// refused some since the client was made. It fails with [ErrUnavailable].
func (c *Cache) Tokens(ctx context.Context, orgID, clientID string, made time.Time) (records []TokenRecord, partial bool, err error) {
	if !isID(clientID) {
		return nil, false, nil
	}
	return c.records.list(ctx, orgID, clientID, made)
}

// RecordedUntil returns until when every token that this node recorded is known
// to all nodes, or to be missing: what came later may be lost if it ends now.
func (c *Cache) RecordedUntil() time.Time {
	if c.writer == nil {
		return c.cfg.Clock() // in this process there is no other
	}
	return c.writer.records.recordedUntil()
}

// FindToken finds a live token by its jti; false: there is none, or it is not remembered. Fails with [ErrUnavailable].
func (c *Cache) FindToken(ctx context.Context, jti string) (TokenRecord, bool, error) {
	if !isID(jti) {
		return TokenRecord{}, false, nil
	}
	return c.records.find(ctx, jti)
}

// ForgetToken removes the record of one token, also one that is still on its way here. Unknown ones are no error. Fails with [ErrUnavailable].
func (c *Cache) ForgetToken(ctx context.Context, clientID, jti string) error {
	if !isID(clientID) || !isID(jti) {
		return nil
	}
	return c.records.forget(ctx, clientID, jti)
}
