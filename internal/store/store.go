package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
)

// Store is one database. It is safe for concurrent use.
type Store struct {
	cfg      Config
	postgres bool
	read     *sql.DB
	// write is for changes. SQLite: its one connection that writes. PostgreSQL:
	// a pool with a connection for each of the two that happen at once, so that
	// they wait for no reader; the same pool as read if there are too few.
	write  *sql.DB
	aside  *sql.DB // for transactions that touch what no rule reads: write or read
	reader runner  // read, or on SQLite its prepared form
	door   door
	// inTurn is the connections of read, so that nobody waits for one in any
	// other order than its.
	inTurn  *limits.Slots[string]
	turns   turns
	room    room
	commits CommitListener // nil: nobody is told
}

// Config says which database, and who hears how it is doing.
type Config struct {
	URL      string // sqlite://PATH or postgres://…; may hold a password, so it is never printed
	MaxConns int    // of this process, 1 to 1000; 0: 20
	// OnCall hears of each query outside a transaction and of each transaction as
	// a whole, when it has ended. what is one of the Calls. nil: nobody does.
	OnCall func(ctx context.Context, what string, began time.Time, err error)
	// OnWait hears, once, for what [Store.Migrate] has to wait. nil: nobody does.
	OnWait func(what string)
	// MigrationWait is how long it waits for that; 0: 5 minutes.
	MigrationWait time.Duration
}

// CommitListener acts on what this process has written to the change log.
type CommitListener interface {
	// OnCommitted is given what a transaction of [Store.Write] has appended to the
	// change log, once it is committed and before Write returns.
	OnCommitted(ctx context.Context, written []Change)
}

// Listen sets who is told of committed changes. It must not be called after the
// first [Store.Write].
func (s *Store) Listen(l CommitListener) { s.commits = l }

// What [Config.OnCall] hears of.
const (
	CallQuery  = "query"
	CallChange = "transaction" // of [Store.Write]
	CallAside  = "aside"       // a transaction of [Store.WriteAside]
)

// How long one query and one transaction may take, when the caller's context does not say less. A database that hangs must cost an
// error, never a goroutine.
const (
	queryTimeout       = 5 * time.Second
	transactionTimeout = 10 * time.Second
)

// errSlow is what a transaction failed with that was still at it when its time
// was over: what its next query says then sounds like something else.
var errSlow = fmt.Errorf("it was ended, since it was not done after %v", transactionTimeout)

// Postgres says which of the two it is, for messages.
func (s *Store) Postgres() bool { return s.postgres }

// Ping returns nil if the database answers a query as the server asks them, with
// a parameter, and takes writes. Else the error is [ErrUnavailable], and
// [ErrReadOnly] or [ErrRefused] if that is why. It needs no schema.
func (s *Store) Ping(ctx context.Context) error {
	text, arg := `SELECT current_setting($1)`, "transaction_read_only"
	if !s.postgres {
		text, arg = `SELECT $1`, "off"
	}
	answer, err := single(ctx, s.Read(), func(r row) (text string, err error) { return text, r.Scan(&text) }, text, arg)
	if err == nil && answer != "off" {
		err = fmt.Errorf("%w: %w", ErrUnavailable, ErrReadOnly)
	}
	return err
}

// Ready is [Store.Ping] of a database whose schema is there: that can be read, too.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.Ping(ctx); err != nil {
		return err
	}
	_, err := s.Read().LastChange(ctx)
	return err
}

// Connections are those of this process to the database, at one moment.
type Connections struct {
	InUse, Idle, Max int
	Waits            uint64 // how often something had to wait since Open, because all were in use
}

// Connections counts them. With SQLite, whose writers take turns, waiting for the one connection that writes is normal.
func (s *Store) Connections() Connections {
	of := func(db *sql.DB) Connections {
		stats := db.Stats()
		return Connections{InUse: stats.InUse, Idle: stats.Idle, Max: stats.MaxOpenConnections, Waits: uint64(stats.WaitCount)}
	}
	all := of(s.read)
	all.Waits += s.inTurn.Waits()
	if s.write != s.read {
		more := of(s.write)
		all = Connections{InUse: all.InUse + more.InUse, Idle: all.Idle + more.Idle, Max: all.Max + more.Max, Waits: all.Waits + more.Waits}
	}
	return all
}

// Clock is what the database server's clock says, which is the same for all nodes; SQLite has none but ours.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	if !s.postgres {
		return time.Now(), nil
	}
	ms, err := count(ctx, s.Read(), `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`)
	return at(ms), err
}

// Close ends all connections.
func (s *Store) Close() error { return errors.Join(s.write.Close(), s.read.Close()) }

// Read gives queries outside a transaction: each sees what was committed when it began.
func (s *Store) Read() *Q { return &Q{on: s.reader, outside: s} }

// Write is [Store.WriteInTurn] for the server itself, which waits for all in front.
func (s *Store) Write(ctx context.Context, do func(*Q) error) error {
	return s.WriteInTurn(ctx, Turn{}, do)
}

// WriteInTurn runs do in a transaction that may change anything, alone: all
// such transactions of all nodes happen one after another. It commits if do
// returns nil; otherwise nothing has happened and that error comes back. do
// must not call Write, and must not wait for anything but the database. After
// an error of the commit itself ([ErrUncertain]) nobody can know whether it
// happened.
func (s *Store) WriteInTurn(ctx context.Context, turn Turn, do func(*Q) error) error {
	written, err := s.alone(ctx, turn, do)
	if err == nil && len(written) > 0 && s.commits != nil {
		s.commits.OnCommitted(limits.Own(ctx), written)
	}
	return err
}

// alone runs do in a transaction that holds the lock of all changes, and
// returns what it appended to the change log.
func (s *Store) alone(ctx context.Context, turn Turn, do func(*Q) error) (written []Change, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, transactionTimeout, errSlow)
	defer cancel()
	if err := s.Admit(ctx); err != nil {
		return nil, err
	}
	release, err := s.turns.take(ctx, turn)
	if err != nil {
		return nil, err
	}
	defer release()
	err = s.transaction(withPass(ctx, nil), s.write, CallChange, func(q *Q) error {
		if err := q.lockChanges(ctx); err != nil {
			return err
		}
		if err := do(q); err != nil {
			return err
		}
		written = q.written
		return q.storeCounter(ctx)
	})
	return written, err
}

// WriteAside runs a transaction that touches only rows no rule reads (last use, sessions, what has expired or was in a removed organization). It waits for nobody and
// must not add to the change log.
func (s *Store) WriteAside(ctx context.Context, do func(*Q) error) error {
	return s.transaction(ctx, s.aside, CallAside, do)
}

func (s *Store) transaction(ctx context.Context, on *sql.DB, what string, do func(*Q) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, transactionTimeout, errSlow)
	defer cancel()
	slots := s.inTurn
	if on != s.read {
		slots = nil
	}
	return s.call(ctx, what, slots, func() error { return s.within(ctx, on, do) })
}

func (s *Store) within(ctx context.Context, on *sql.DB, do func(*Q) error) error {
	tx, err := on.BeginTx(ctx, s.isolation())
	if err != nil {
		return nameQuery(classify("begin a transaction", err), nil)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing; before one, the connection is gone anyway
	if err := do(&Q{on: tx, room: &s.room, postgres: s.postgres}); err != nil {
		if errors.Is(err, ErrUnavailable) && errors.Is(context.Cause(ctx), errSlow) {
			return fmt.Errorf("a transaction: %w: %w", errSlow, err)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		if err = classify("commit", err); errors.Is(err, ErrDiskFull) {
			return err // it said no: nothing has happened
		}
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return nil
}

// isolation is that of every transaction that changes something, whatever the
// database has as its default: who waits for the row that all changes lock must
// then see what the one before it changed. SQLite knows none.
func (s *Store) isolation() *sql.TxOptions {
	if s.postgres {
		return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	return nil
}

func (c *Config) observe(ctx context.Context, what string, began time.Time, err error) {
	if c.OnCall != nil {
		if !errors.Is(err, ErrUnavailable) {
			err = nil // the database did answer
		}
		c.OnCall(ctx, what, began, err)
	}
}

// Q runs queries, in a transaction or outside. It is not for concurrent use inside a transaction.
type Q struct {
	on      runner
	outside *Store // nil inside a transaction, which is one call as a whole

	counter, locked int64 // of the change log; see change.go
	written         []Change
	room            *room            // of the store; nil outside a transaction
	postgres        bool             // inside a transaction: of which kind it is
	raised          map[string]int64 // client → its epoch, where this transaction raised it for its revocations
}

type runner interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

type row interface{ Scan(...any) error }

// skipLocked ends a SELECT of rows that are to be deleted aside: it locks them
// and leaves out those that somebody else has locked, so that the transaction
// waits for no other one. On SQLite there is one that writes.
func (q *Q) skipLocked() string {
	if q.postgres {
		return ` FOR UPDATE SKIP LOCKED`
	}
	return ""
}

// exec runs one statement and says how many rows it touched.
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
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
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

func rowsOf[T any](ctx context.Context, q *Q, scan func(row) (T, error), text string, args ...any) (all []T, err error) {
	rows, err := q.on.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, classify("read", err)
	}
	defer rows.Close()
	all = []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, classify("read a row", err)
		}
		all = append(all, one)
	}
	return all, classify("read", rows.Err())
}

// single reads the one row of a query: [ErrNotFound] where there is none.
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

// milliseconds turns an optional moment into what is stored.
func milliseconds(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}

// moment turns what is stored into an optional moment.
func moment(ms sql.NullInt64) *time.Time {
	if !ms.Valid {
		return nil
	}
	t := time.UnixMilli(ms.Int64).UTC()
	return &t
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// placeholders writes "$n,$n+1,…" for count values, beginning at from.
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

// in completes args with ids and writes the placeholders for an IN of them. It repeats the last id up to a power of two, so that lists of any length need
// only a few texts, which databases then have parsed already. ids must not be empty.
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
