package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// dumped is every table whose rows a backup holds, those that others refer to
// first.
var dumped = []string{
	"organization", "member", "invitation", "client", "credential", "role", "role_privilege", "role_grant",
	"api", "privilege", "change_counter", "change", "signing_key", "data_key", "audit_event", "recorder",
}

// notDumped is every table that a backup leaves out: sessions end with a
// restore, refusals and used assertions are kept for a short time only (a
// restore says of itself that it has none), the signing algorithm is the
// configuration's and the schema's version the program's.
var notDumped = []string{"session", "refusal", "assertion_use", "assertion_use_batch", "assertion_gap",
	"goose_db_version", "schema_floor", "signing_algorithm"}

// ErrNotEmpty is returned by [Store.Fill] if the database has an organization.
var ErrNotEmpty = errors.New("the database is not empty: it has an organization already")

// DumpedRow is one row of one table, by the names of its columns. The values
// are of type nil, bool, int64, string or []byte.
type DumpedRow struct {
	Table   string
	Columns []string
	Values  []any
}

// Dump reads the whole database, except for sessions, as it is at one moment.
// It calls emit with each row, in an order in which the rows can be written
// again.
func (s *Store) Dump(ctx context.Context, emit func(DumpedRow) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if s.postgres {
		opts.Isolation = sql.LevelRepeatableRead // one snapshot for all tables, which SQLite's readers have anyway
	}
	tx, err := s.read.BeginTx(ctx, opts)
	if err != nil {
		return classify("begin a backup", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	for _, table := range dumped {
		if err := dumpTable(ctx, tx, table, emit); err != nil {
			return fmt.Errorf("back up the table %s: %w", table, err)
		}
	}
	return nil
}

func dumpTable(ctx context.Context, tx *sql.Tx, table string, emit func(DumpedRow) error) error {
	rows, err := tx.QueryContext(ctx, `SELECT * FROM `+table)
	if err != nil {
		return classify("read", err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return classify("read", err)
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return classify("read", err)
	}
	for rows.Next() {
		values, places := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return classify("read a row", err)
		}
		for i, v := range values {
			if n, ok := v.(int64); ok && strings.HasPrefix(types[i].DatabaseTypeName(), "BOOL") {
				values[i] = n != 0 // SQLite has only the name of that type
			}
		}
		if err := emit(DumpedRow{Table: table, Columns: columns, Values: values}); err != nil {
			return err
		}
	}
	return classify("read", rows.Err())
}

// Fill writes the rows of a [Store.Dump], of either kind of database, into an
// empty one that has a schema. It writes all or nothing. next returns one row
// after the other, and false after the last. finish runs in the same
// transaction when all rows are there. Fill returns [ErrNotEmpty] if the
// database has an organization.
func (s *Store) Fill(ctx context.Context, next func() (DumpedRow, bool, error), finish func(*Q) error) error {
	tx, err := s.write.BeginTx(ctx, s.isolation())
	if err != nil {
		return classify("begin a restore", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	q := &Q{on: tx, patience: s.cfg.Patience}
	if err := q.lockChanges(ctx); err != nil {
		return err
	}
	if organizations, err := count(ctx, q, `SELECT COUNT(*) FROM organization`); err != nil {
		return err
	} else if organizations > 0 {
		return ErrNotEmpty
	}
	for i := len(dumped) - 1; i >= 0; i-- { // a server that was started before has made keys and a catalogue
		if _, err := q.exec(ctx, `DELETE FROM `+dumped[i]); err != nil {
			return err
		}
	}
	if err := q.fill(ctx, next); err != nil {
		return err
	}
	if err := finish(q); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%w: %w", ErrUncertain, classify("commit", err))
	}
	if s.postgres {
		// Until PostgreSQL has counted the rows, it reads whole tables for a
		// page of a list. It would count them by itself within a minute, so an
		// error here is none of Fill.
		_, _ = s.write.ExecContext(ctx, `ANALYZE`)
	}
	return nil
}

// fillBatch is how many rows one statement writes. With our widest table that
// is a tenth of the parameters that SQLite takes.
const fillBatch = 100

func (q *Q) fill(ctx context.Context, next func() (DumpedRow, bool, error)) error {
	known := map[string]bool{}
	for _, table := range dumped {
		known[table] = true
	}
	var batch []DumpedRow
	for {
		row, more, err := next()
		if err != nil {
			return err
		}
		row = currentRow(row)
		if more && (!known[row.Table] || len(row.Columns) != len(row.Values) || !areNames(row.Columns)) {
			return fmt.Errorf("the backup has a row of %q that this program can't place; use the release that made it",
				row.Table)
		}
		if len(batch) > 0 && (!more || len(batch) == fillBatch || row.Table != batch[0].Table) {
			if err := q.insert(ctx, batch); err != nil {
				return fmt.Errorf("restore the table %s: %w", batch[0].Table, err)
			}
			batch = batch[:0]
		}
		if !more {
			return nil
		}
		batch = append(batch, row)
	}
}

// currentRow returns a row in the form of today's tables. A backup from before
// there was a table for all credentials has one for secrets.
func currentRow(r DumpedRow) DumpedRow {
	scheme, hash := slices.Index(r.Columns, "scheme"), slices.Index(r.Columns, "hash")
	if r.Table != "secret" || min(scheme, hash) < 0 || len(r.Values) != len(r.Columns) {
		return r
	}
	r.Table, r.Columns, r.Values = "credential", slices.Clone(r.Columns), slices.Clone(r.Values)
	r.Columns[hash], r.Values[hash] = "material", fmt.Sprintf("$%s$%x", r.Values[scheme], r.Values[hash])
	r.Columns[scheme], r.Values[scheme] = "kind", CredentialSecret
	return r
}

func (q *Q) insert(ctx context.Context, rows []DumpedRow) error {
	columns := rows[0].Columns
	var text strings.Builder
	args := make([]any, 0, len(rows)*len(columns))
	text.WriteString(`INSERT INTO ` + rows[0].Table + ` (` + strings.Join(columns, ", ") + `) VALUES `)
	for i, row := range rows {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString("(" + placeholders(len(args)+1, len(columns)) + ")")
		args = append(args, row.Values...)
	}
	_, err := q.exec(ctx, text.String(), args...)
	return err
}

// areNames reports whether all are names of columns. It keeps a forged archive
// from bringing in SQL.
func areNames(columns []string) bool {
	for _, c := range columns {
		if c == "" || strings.Trim(c, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return false
		}
	}
	return true
}

// ForgetSigningKeys deletes all signing keys, so that no token that they signed
// is accepted any more. The next start makes new ones.
func (q *Q) ForgetSigningKeys(ctx context.Context) error {
	_, err := q.exec(ctx, `DELETE FROM signing_key`)
	return err
}

// SkipChanges raises the change log's counter after a restore, past whatever
// was numbered after the backup. A cursor from that time is then below the
// counter, not in a future that did not happen.
func (q *Q) SkipChanges(ctx context.Context, by int64) error {
	return q.must(ctx, `UPDATE change_counter SET seq = seq + $1 WHERE one = 1`, by)
}
