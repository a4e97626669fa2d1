package store

import (
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"
)

// useBatch is how many rows one transaction of [Store.NoteUse] writes. It is a
// power of two, so that nearly all of them have one text.
const useBatch = 512

// NoteUse notes when clients and credentials were last used, as id → ms. A time
// never goes back, and an id that is gone is no error. NoteUse writes in
// portions: after an error some are written, and may safely be written again.
func (s *Store) NoteUse(ctx context.Context, clients, credentials map[string]int64) error {
	if err := s.noteUse(ctx, "client", clients); err != nil {
		return err
	}
	return s.noteUse(ctx, "credential", credentials)
}

func (s *Store) noteUse(ctx context.Context, table string, used map[string]int64) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(used)), useBatch) {
		text, args := s.useQuery(table, ids, used)
		if err := s.WriteAside(ctx, func(q *Q) error { _, err := q.exec(ctx, text, args...); return err }); err != nil {
			return err
		}
	}
	return nil
}

// useQuery returns one statement for all rows, because a random working set
// makes as many of them as tokens.
//
// Nodes note the same clients at the same time. So PostgreSQL first locks the
// rows in the order of their ids: by itself it would take them as they come,
// and two nodes would deadlock.
func (s *Store) useQuery(table string, ids []string, used map[string]int64) (string, []any) {
	rows := 1 << bits.Len(uint(len(ids)-1))
	text := []byte(`UPDATE ` + table + ` SET last_used_ms = noted.ms
		FROM (SELECT t.id AS id, v.column2 AS ms FROM ` + table + ` t
		JOIN (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT))`)
	args := make([]any, 0, 2*rows)
	for i := range rows { // as [in] does, it repeats the last up to a power of two
		id := ids[min(i, len(ids)-1)]
		args = append(args, id, used[id])
		if i > 0 {
			text = fmt.Appendf(text, ",($%d,$%d)", 2*i+1, 2*i+2)
		}
	}
	text = append(text, `) AS v ON t.id = v.column1
		WHERE t.last_used_ms IS NULL OR t.last_used_ms < v.column2 ORDER BY t.id`...)
	if s.postgres {
		text = append(text, ` FOR NO KEY UPDATE OF t`...)
	}
	return string(text) + `) AS noted WHERE ` + table + `.id = noted.id`, args
}

// CountExpiringCredentials counts, by kind, the credentials of all
// organizations that end after now and no later than soon, and were used since
// usedSince. A registered certificate ends with its own not_after, too, with
// which its hint begins. It counts up to limit of either sort.
func (q *Q) CountExpiringCredentials(
	ctx context.Context, now, soon, usedSince time.Time, limit int,
) (counts map[string]int, err error) {
	type few struct {
		kind string
		n    int
	}
	all, err := many(ctx, q, func(r row) (one few, err error) { return one, r.Scan(&one.kind, &one.n) }, `SELECT kind, COUNT(*) FROM (
			SELECT kind FROM (SELECT kind FROM credential
				WHERE expires_at_ms > $1 AND expires_at_ms <= $2 AND last_used_ms >= $3 LIMIT $4) AS ending
			UNION ALL
			SELECT kind FROM (SELECT kind FROM credential
				WHERE kind = $5 AND hint > $6 AND hint <= $7 AND last_used_ms >= $3
					AND (expires_at_ms IS NULL OR expires_at_ms > $2) LIMIT $4) AS outlived
		) AS few GROUP BY kind`,
		now.UnixMilli(), soon.UnixMilli(), usedSince.UnixMilli(), limit, CredentialCertificate,
		now.UTC().Format(time.RFC3339), soon.UTC().Format(time.RFC3339))
	counts = map[string]int{}
	for _, one := range all {
		counts[one.kind] = one.n
	}
	return counts, err
}
