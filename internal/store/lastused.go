package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"
)

// Use is when a client last used a credential.
type Use struct {
	ClientID string
	MS       int64
}

const (
	// useBatch is how many rows one transaction of [Store.NoteUse] writes. It
	// is a power of two, so that nearly all of them have one text.
	useBatch = 512
	// useApart is by how much a use must be later than the one that is noted to
	// be worth writing. Nodes that serve one client write its row once within
	// it, however many they are.
	useApart = time.Minute
)

// NoteUse notes when credentials were last used, by id. A time never goes back
// and advances by useApart at least. Of a credential that is gone the use is
// noted at its client, and a client that is gone is no error. NoteUse writes in
// portions: after an error some are written, and may safely be written again. A
// portion with a row that somebody holds makes none of the others wait.
func (s *Store) NoteUse(ctx context.Context, used map[string]Use) error {
	ofGone := map[string]Use{}
	var held error
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(used)), useBatch) {
		noted, err := s.noteUse(ctx, "credential", "client_id", ids, used)
		if errors.Is(err, errHeld) {
			held = err
			continue
		}
		if err != nil {
			return err
		}
		if noted == int64(len(ids)) {
			continue
		}
		there, err := s.Read().credentialsThere(ctx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if one := used[id]; !there[id] && one.MS > ofGone[one.ClientID].MS {
				ofGone[one.ClientID] = one
			}
		}
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(ofGone)), useBatch) {
		if _, err := s.noteUse(ctx, "client", "id", ids, ofGone); errors.Is(err, errHeld) {
			held = err
		} else if err != nil {
			return err
		}
	}
	return held
}

const (
	// useKey is the key of the advisory lock of [Store.NoteUse].
	useKey = 7315911265
	// givesWay is for how long a note waits for a row. It is less than
	// PostgreSQL waits (deadlock_timeout, a second) before it ends one of two
	// transactions that wait for each other: so it is never another one.
	givesWay = "500ms"
)

// noteUse writes into rows of a table, whose ids are sorted, and returns into
// how many. Nodes note the same clients at the same time, and take their rows in
// no order that could be relied on. So on PostgreSQL they do it one after
// another: two would deadlock, and to lock the rows in an order first costs as
// much as to write them.
func (s *Store) noteUse(ctx context.Context, table, client string, ids []string, used map[string]Use) (
	noted int64, err error,
) {
	text, args := s.useQuery(table, client, ids, used)
	err = s.WriteAside(ctx, func(q *Q) error {
		if s.postgres {
			if _, err := q.exec(ctx, `SELECT pg_advisory_xact_lock($1), set_config('lock_timeout', $2, TRUE)`,
				int64(useKey), givesWay); err != nil {
				return err
			}
		}
		noted, err = q.exec(ctx, text, args...)
		return err
	})
	return noted, err
}

// useQuery returns one statement for all rows, because a random working set
// makes as many of them as tokens. PostgreSQL gets arrays, which cost less than
// a thousand parameters. It looks for rows by their clients, over the index
// that has just led to them; SQLite does by their ids.
func (s *Store) useQuery(table, client string, ids []string, used map[string]Use) (string, []any) {
	clients, times := make([]string, len(ids)), make([]int64, len(ids))
	for i, id := range ids {
		clients[i], times[i] = used[id].ClientID, used[id].MS
	}
	list, args := `UNNEST(CAST($2 AS TEXT[]), CAST($3 AS TEXT[]), CAST($4 AS BIGINT[])) AS v (id, client, ms)`,
		[]any{useApart.Milliseconds(), ids, clients, times}
	if !s.postgres {
		list, args = usesListed(args[:1], ids, clients, times)
	}
	return `UPDATE ` + table + ` SET last_used_ms = v.ms FROM ` + list + `
		WHERE ` + table + `.id = v.id AND ` + table + `.` + client + ` = v.client
		AND (` + table + `.last_used_ms IS NULL OR ` + table + `.last_used_ms <= v.ms - $1)`, args
}

// usesListed is a list of ids, clients and times for SQLite. As [in] does, it
// repeats the last up to a power of two.
func usesListed(args []any, ids, clients []string, times []int64) (list string, all []any) {
	var text []byte
	for i := range 1 << bits.Len(uint(len(ids)-1)) {
		at, n := min(i, len(ids)-1), len(args)
		args = append(args, ids[at], clients[at], times[at])
		text = fmt.Appendf(text, ",($%d,$%d,$%d)", n+1, n+2, n+3)
	}
	return `(SELECT column1 AS id, column2 AS client, column3 AS ms FROM (VALUES ` + string(text[1:]) + `)) AS v`, args
}

// credentialsThere tells which of some credentials there are.
func (q *Q) credentialsThere(ctx context.Context, ids []string) (map[string]bool, error) {
	list, args := in(nil, ids)
	found, err := many(ctx, q, scanText, `SELECT id FROM credential WHERE id IN (`+list+`)`, args...)
	there := make(map[string]bool, len(found))
	for _, id := range found {
		there[id] = true
	}
	return there, err
}

// lastUse returns when a client was last used: the latest use of its
// credentials, or of one that is gone.
func lastUse(ofCredentials, ofGone sql.NullInt64) *time.Time {
	if ofGone.Valid && (!ofCredentials.Valid || ofCredentials.Int64 < ofGone.Int64) {
		return moment(ofGone)
	}
	return moment(ofCredentials)
}

// lastUseColumns are what [lastUse] takes, in a query of clients.
const lastUseColumns = `(SELECT MAX(u.last_used_ms) FROM credential u WHERE u.client_id = client.id), last_used_ms`

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
