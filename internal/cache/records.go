package cache

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/svcauth/svcauth/internal/verify"
)

const (
	maxPerClient = 1000 // the newest token records that are kept of one client
	maxID        = 128  // bytes of an id; ours have about 30
	maxUserAgent = 256
	maxScope     = 1024
	maxRoles     = 100 // svcauth.MaxRolesPerPrincipal; names have 256 bytes at most
)

// TokenRecord is what is remembered of an issued token, for the people who look
// after its client. It never holds the token.
type TokenRecord struct {
	JTI       string `json:"jti"`
	ClientID  string `json:"client_id"`
	OrgID     string `json:"org_id"`
	SecretID  string `json:"secret_id,omitempty"`
	Scope     string `json:"scope,omitempty"`      // cut after 1024 bytes
	IP        string `json:"ip,omitempty"`         // of the caller
	UserAgent string `json:"user_agent,omitempty"` // cut after 256 bytes
	// Epoch, Pol, Roles and what the token is bound to are its claims, by which
	// a reader can tell whether a later revocation denies it: see
	// [TokenRecord.Claims].
	Epoch     int64     `json:"epoch,omitempty"`
	Pol       int64     `json:"pol,omitempty"`
	Roles     []string  `json:"roles,omitempty"` // the first 100
	IssuedAt  time.Time `json:"-"`               // see [storedRecord]
	ExpiresAt time.Time `json:"-"`

	BoundKey         string `json:"jkt,omitempty"` // thumbprints
	BoundCertificate string `json:"x5t#S256,omitempty"`

	span *trace.SpanContext // of a traced request, until the record is in Redis
}

// Claims returns what the record says of the token's claims.
func (r *TokenRecord) Claims() *verify.Claims {
	return &verify.Claims{
		Subject: r.ClientID, ClientID: r.ClientID, OrgID: r.OrgID, JTI: r.JTI, Cred: r.SecretID,
		IssuedAt: r.IssuedAt, ExpiresAt: r.ExpiresAt,
		Scope: r.Scope, Roles: r.Roles, Epoch: r.Epoch, Policy: r.Pol,
		BoundKey: r.BoundKey, BoundCertificate: r.BoundCertificate,
	}
}

// shortest is the shortest lifetime of a record. In Redis zero would be for
// ever, and less than a millisecond is rounded.
const shortest = time.Millisecond

// bounded returns r with every text cut to its limit, and reports whether r is
// worth keeping: it names a token and a client, and has not expired.
func (r TokenRecord) bounded(now time.Time) (TokenRecord, bool) {
	if !isID(r.JTI) || !isID(r.ClientID) || r.ExpiresAt.Sub(now) < shortest {
		return r, false
	}
	r.BoundKey, r.BoundCertificate = cut(r.BoundKey, maxID), cut(r.BoundCertificate, maxID)
	r.OrgID, r.SecretID, r.IP = cut(r.OrgID, maxID), cut(r.SecretID, maxID), cut(r.IP, maxID)
	r.Roles = r.Roles[:min(maxRoles, len(r.Roles))]
	r.Scope, r.UserAgent = cut(r.Scope, maxScope), cut(r.UserAgent, maxUserAgent)
	return r, true
}

// isID reports whether s may be part of a key's name. Braces above all may not:
// they choose the slot in Redis Cluster.
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
	return strings.ToValidUTF8(s, "")
}

// newestFirst sorts records in place, in the order of both implementations.
func newestFirst(records []TokenRecord) []TokenRecord {
	slices.SortFunc(records, func(a, b TokenRecord) int {
		if n := b.IssuedAt.Compare(a.IssuedAt); n != 0 {
			return n
		}
		return strings.Compare(b.JTI, a.JTI)
	})
	return records
}

// RecordToken remembers an issued token until it expires. It never waits: with
// Redis it queues the record for [Cache.Run], or drops and counts it if the
// queue is full. The newest 1,000 of one client are kept. ctx is the request's,
// whose trace is for [Observer.TokenRecorded].
func (c *Cache) RecordToken(ctx context.Context, r TokenRecord) {
	r, ok := r.bounded(c.cfg.Clock())
	if !ok {
		return
	}
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		r.span = &span
	}
	c.records.record(r)
}

// MarkRevoked marks a token as revoked until the given moment. It drops the
// token's record and writes the key <prefix>{<jti>}:revoked, for whoever reads
// Redis. It never waits. It is a hint: what counts is the change log.
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
func (c *Cache) Tokens(ctx context.Context, orgID, clientID string, made time.Time,
) (records []TokenRecord, partial bool, err error) {
	if !isID(clientID) {
		return nil, false, nil
	}
	return c.records.list(ctx, orgID, clientID, made)
}

// RecordedUntil returns until when every token that this node recorded is known
// to all nodes, or known to be missing. What came later may be lost if the node
// ends now.
func (c *Cache) RecordedUntil() time.Time {
	if c.writer == nil {
		return c.cfg.Clock() // the twin has no other nodes
	}
	return c.writer.records.recordedUntil()
}

// FindToken returns the record of a live token by its jti, and false if there
// is none. It fails with [ErrUnavailable].
func (c *Cache) FindToken(ctx context.Context, jti string) (TokenRecord, bool, error) {
	if !isID(jti) {
		return TokenRecord{}, false, nil
	}
	return c.records.find(ctx, jti)
}
