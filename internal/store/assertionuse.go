package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
)

// AssertionUse is the use of what may be used once, such as the jti of an
// assertion (RFC 7523 §3).
type AssertionUse struct {
	ID       string // a hash of the client and what was used
	ClientID string
	OrgID    string    // kept by [Store.SaveUses] alone; empty: not known
	Until    time.Time // when it would be refused anyway
}

// MaxAssertionUses is how many uses [Store.UseAssertions] takes at once.
const MaxAssertionUses = 64

// UseAssertions records uses, which must differ in their ids, and returns the
// ids of those that are the first. Of two nodes that record the same at once,
// one gets it. It waits for the other node's transaction and for no other. The
// uses are of many requests, each of which is to call [Store.Admit] first: this
// call is the server's own and waits in nobody's turn.
func (s *Store) UseAssertions(ctx context.Context, uses []AssertionUse, now time.Time) (first []string, err error) {
	ctx = limits.Own(ctx)
	// Nodes take the same rows in one order, so that none waits for another
	// that waits for it.
	slices.SortFunc(uses, func(a, b AssertionUse) int { return strings.Compare(a.ID, b.ID) })
	rows, args := s.useRows(uses)
	text := `INSERT INTO assertion_use (id, client_id, expires_at_ms) ` + rows + `
		ON CONFLICT (id) DO UPDATE SET expires_at_ms = excluded.expires_at_ms
		WHERE assertion_use.expires_at_ms <= $1 RETURNING id`
	args = append([]any{now.UnixMilli()}, args...)
	err = s.writeOne(ctx, func(q *Q) error {
		first, err = many(ctx, q, scanText, text, args...)
		return err
	})
	return first, err
}

// useRows returns what yields uses as rows, and its arguments from $2 on.
// PostgreSQL has arrays, and prepares one statement for any number of them.
func (s *Store) useRows(uses []AssertionUse) (text string, args []any) {
	if s.postgres {
		ids, clients, ends := make([]string, len(uses)), make([]string, len(uses)), make([]int64, len(uses))
		for i, use := range uses {
			ids[i], clients[i], ends[i] = use.ID, use.ClientID, use.Until.UnixMilli()
		}
		return `SELECT * FROM unnest($2::text[], $3::text[], $4::bigint[])`, []any{ids, clients, ends}
	}
	values := make([]string, len(uses))
	for i, use := range uses {
		values[i] = fmt.Sprintf("($%d,$%d,$%d)", 3*i+2, 3*i+3, 3*i+4)
		args = append(args, use.ID, use.ClientID, use.Until.UnixMilli())
	}
	return `VALUES ` + strings.Join(values, ","), args
}

// SaveUses writes uses of which nobody else may know in one row, for
// [Q.SavedUses]. They are not looked at by [Store.UseAssertions].
func (s *Store) SaveUses(ctx context.Context, uses []AssertionUse) error {
	var text []byte
	var last time.Time
	for _, use := range uses {
		text = fmt.Appendf(text, "%s %s %d %s\n", use.ID, use.ClientID, use.Until.UnixMilli(), use.OrgID)
		if use.Until.After(last) {
			last = use.Until
		}
	}
	return s.WriteAside(ctx, func(q *Q) error {
		_, err := q.exec(ctx, `INSERT INTO assertion_use_batch (id, uses, expires_at_ms) VALUES ($1, $2, $3)`,
			rand.Text(), string(text), last.UnixMilli())
		return err
	})
}

// SavedUses returns what [Store.SaveUses] has saved and may not be over: what
// ends in the last lasting before the end of all. That is not by the clock, which
// may be ahead when a process begins.
func (q *Q) SavedUses(ctx context.Context, lasting time.Duration) (uses []AssertionUse, err error) {
	ended, err := count(ctx, q, `SELECT COALESCE(MAX(expires_at_ms), 0) FROM assertion_use_batch`)
	if err != nil {
		return nil, err
	}
	ended -= lasting.Milliseconds()
	batches, err := many(ctx, q, scanText, `SELECT uses FROM assertion_use_batch WHERE expires_at_ms > $1`, ended)
	for _, batch := range batches {
		for line := range strings.Lines(batch) {
			var use AssertionUse
			var until int64
			if n, err := fmt.Sscan(line, &use.ID, &use.ClientID, &until, &use.OrgID); n < 3 {
				return nil, fmt.Errorf("read the used assertions of a process before: %w", err)
			}
			if use.Until = time.UnixMilli(until); until > ended {
				uses = append(uses, use)
			}
		}
	}
	return uses, err
}

// UsesEnd returns when the last of the uses is over that [Store.UseAssertions]
// has recorded. It is zero if there are none.
func (q *Q) UsesEnd(ctx context.Context) (end time.Time, err error) {
	last, err := count(ctx, q, `SELECT COALESCE(MAX(expires_at_ms), 0) FROM assertion_use`)
	if last > 0 {
		end = time.UnixMilli(last)
	}
	return end, err
}

// CountAssertionUses counts a client's uses that are not over, up to limit.
func (q *Q) CountAssertionUses(ctx context.Context, clientID string, now time.Time, limit int) (int64, error) {
	return count(ctx, q, `SELECT COUNT(*) FROM (SELECT 1 FROM assertion_use
		WHERE client_id = $1 AND expires_at_ms > $2 LIMIT $3) AS few`, clientID, now.UnixMilli(), limit)
}
