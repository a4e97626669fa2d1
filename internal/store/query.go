package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// Q runs queries, in a transaction or outside. A Q of a transaction is not for
// concurrent use.
type Q struct {
	on      runner
	outside *Store // nil inside a transaction, which is one call as a whole

	patience time.Duration // of the store

	counter, locked int64 // of the change log; see change.go
	written         []Change
	room            *room            // of the store; nil outside a transaction
	postgres        bool             // false outside a transaction
	raised          map[string]int64 // clients' epochs that this transaction has raised, by client id
}

// onPostgres reports whether q's database is PostgreSQL.
func (q *Q) onPostgres() bool { return q.postgres || q.outside != nil && q.outside.postgres }

type runner interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

type row interface{ Scan(...any) error }

// skipLocked returns the end of a SELECT of rows that [Store.WriteAside] is to
// delete. It locks them and leaves out those that another transaction has
// locked, so that this one waits for nobody. On SQLite only one transaction
// writes.
func (q *Q) skipLocked() string {
	if q.postgres {
		return ` FOR UPDATE SKIP LOCKED`
	}
	return ""
}

// exec runs one statement and returns how many rows it touched.
func (q *Q) exec(ctx context.Context, text string, args ...any) (n int64, err error) {
	err = q.call(ctx, func(ctx context.Context) error {
		result, err := q.on.ExecContext(ctx, text, args...)
		if err == nil {
			n, err = result.RowsAffected()
		}
		return classify("write", err)
	})
	return n, nameQuery(err, args)
}

// must is exec for a statement that has to touch a row. Else the error is
// [ErrNotFound].
func (q *Q) must(ctx context.Context, text string, args ...any) error {
	return q.mustElse(ctx, ErrNotFound, text, args...)
}

// mustBeFresh is must for an UPDATE that is guarded by what was read before.
// Else the error is [ErrStale].
func (q *Q) mustBeFresh(ctx context.Context, text string, args ...any) error {
	return q.mustElse(ctx, ErrStale, text, args...)
}

func (q *Q) mustElse(ctx context.Context, ifNone error, text string, args ...any) error {
	n, err := q.exec(ctx, text, args...)
	if err == nil && n == 0 {
		return nameQuery(ifNone, args)
	}
	return err
}

// call runs one query.
func (q *Q) call(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, q.patience)
	defer cancel()
	if q.outside == nil {
		return do(ctx)
	}
	return q.outside.call(ctx, CallQuery, q.outside.inTurn, func() error { return do(ctx) })
}

// many reads all rows of a query. It never returns a nil slice.
func many[T any](ctx context.Context, q *Q, scan func(row) (T, error), text string, args ...any) (all []T, err error) {
	err = q.call(ctx, func(ctx context.Context) error {
		all, err = rowsOf(ctx, q, scan, text, args...)
		return err
	})
	return all, nameQuery(err, args)
}

func rowsOf[T any](ctx context.Context, q *Q, scan func(row) (T, error), text string, args ...any) ([]T, error) {
	if q.outside != nil && q.outside.postgres {
		// After this error nothing was read; database/sql tries other connections.
		if all, err := rowsOnPgx(ctx, q.outside.read, scan, text, args); !errors.Is(err, driver.ErrBadConn) {
			return all, classify("read", err)
		}
	}
	rows, err := q.on.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, classify("read", err)
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, classify("read a row", err)
		}
		all = append(all, one)
	}
	return all, classify("read", rows.Err())
}

// rowsOnPgx is rowsOf outside a transaction, on PostgreSQL. It spares what
// database/sql takes to hand on each value.
func rowsOnPgx[T any](
	ctx context.Context, pool *sql.DB, scan func(row) (T, error), text string, args []any,
) (all []T, err error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	err = conn.Raw(func(raw any) error {
		rows, err := raw.(*stdlib.Conn).Conn().Query(ctx, text, args...)
		if pgconn.SafeToRetry(err) {
			return driver.ErrBadConn
		}
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (T, error) { return scan(r) })
		return err
	})
	return all, err
}

// single reads the one row of a query. It returns [ErrNotFound] if there is
// none.
func single[T any](ctx context.Context, q *Q, scan func(row) (T, error), text string, args ...any) (T, error) {
	all, err := many(ctx, q, scan, text, args...)
	if err == nil && len(all) == 0 {
		err = nameQuery(ErrNotFound, args)
	}
	if err != nil {
		var none T
		return none, err
	}
	return all[0], nil
}

// count reads one number.
func count(ctx context.Context, q *Q, text string, args ...any) (int64, error) {
	return single(ctx, q, func(r row) (n int64, err error) { return n, r.Scan(&n) }, text, args...)
}

func scanText(r row) (text string, err error) { return text, r.Scan(&text) }

// milliseconds returns the stored form of an optional moment.
func milliseconds(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}

// moment returns the optional moment of a stored form.
func moment(ms sql.NullInt64) *time.Time {
	if !ms.Valid {
		return nil
	}
	t := time.UnixMilli(ms.Int64).UTC()
	return &t
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// placeholders returns "$n,$n+1,…" for count values, beginning at from.
func placeholders(from, count int) string {
	text := make([]byte, 0, count*5)
	for i := range count {
		if i > 0 {
			text = append(text, ',')
		}
		text = fmt.Appendf(text, "$%d", from+i)
	}
	return string(text)
}

// in appends ids to args and returns the placeholders for an IN of them. It
// repeats the last id up to a power of two, so that lists of any length need
// only a few texts, which databases then have parsed already. ids must not be
// empty.
func in(args []any, ids []string) (text string, all []any) {
	from := len(args) + 1
	for _, id := range ids {
		args = append(args, id)
	}
	size := 1 << bits.Len(uint(len(ids)-1))
	for range size - len(ids) {
		args = append(args, ids[len(ids)-1])
	}
	return placeholders(from, size), args
}
