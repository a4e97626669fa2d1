package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/timespan"
)

// Store is one database. It is safe for concurrent use.
type Store struct {
	cfg      Config
	postgres bool
	read     *sql.DB
	// write is for changes. SQLite: its one connection that writes. PostgreSQL:
	// a pool with a connection for each of the two that happen at once, so that
	// they wait for no reader; the same pool as read if there are too few.
	write    *sql.DB
	aside    *sql.DB    // for transactions on rows that no rule reads; write or read
	connects *connector // of PostgreSQL: makes connections
	reader   runner     // read, or on SQLite its prepared form
	door     door
	// inTurn hands out the connections of read, so that requests wait for them
	// in its order and in no other.
	inTurn  *limits.Slots[string]
	turns   turns
	room    room
	commits CommitListener // nil if nobody is told
}

// Config says which database, and who hears how it is doing.
type Config struct {
	URL      string // sqlite://PATH or postgres://…; may hold a password, so it is never printed
	MaxConns int    // of this process, 1 to 1000; 0 is 20
	// Observer may be nil: nobody hears.
	Observer Observer
	// Patience is how long one query, or a connect, may take, unless the
	// caller's context or the URL says less. A transaction may take twice as
	// long. 0 is 5 seconds, and 3 for a connect. Tests give more, since their
	// machine may not run a process for seconds; who tests how long a database
	// that hangs is waited for does not.
	Patience time.Duration
	// MigrationWait is how long [Store.Migrate] waits for somebody else who
	// makes no progress; 0 is 5 minutes.
	MigrationWait time.Duration
}

// Observer hears how the database is doing.
type Observer interface {
	// DatabaseCalled is told that a query outside a transaction has ended, or a
	// transaction as a whole. what is one of the Call constants. err is nil if
	// the database has answered.
	DatabaseCalled(ctx context.Context, what string, began time.Time, err error)
	// MigrationWaits is told once what [Store.Migrate] has to wait for.
	MigrationWaits(because string)
}

// CommitListener acts on what this process has written to the change log.
type CommitListener interface {
	// OnCommitted is given what a transaction of [Store.Write] has appended to
	// the change log, once it is committed and before Write returns.
	OnCommitted(ctx context.Context, written []Change)
}

// Listen sets the listener that is told of committed changes. It must be called
// before the first [Store.Write].
func (s *Store) Listen(l CommitListener) { s.commits = l }

// What [Observer.DatabaseCalled] is told of.
const (
	CallQuery  = "query"
	CallChange = "transaction" // of [Store.Write]
	CallAside  = "aside"       // a transaction of [Store.WriteAside]
)

// queryTimeout is how long one query may take if [Config.Patience] does not
// say. A database that hangs must cost an error, never a goroutine.
const queryTimeout = 5 * time.Second

// errSlow is the error of a transaction that ran out of time. Its next query
// alone would fail with something less clear.
type errSlow time.Duration

func (e errSlow) Error() string {
	return "it was ended, since it was not done after " + timespan.Text(time.Duration(e))
}

// inTime bounds a transaction.
func (s *Store) inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := 2 * s.cfg.Patience
	return context.WithTimeoutCause(ctx, timeout, errSlow(timeout))
}

// Postgres reports whether the database is PostgreSQL. It is for messages.
func (s *Store) Postgres() bool { return s.postgres }

// Ping returns nil if the database takes writes and answers a query with a
// parameter, as all of the server's are. Otherwise it returns [ErrUnavailable],
// with [ErrReadOnly] or [ErrRefused] if that is why. It needs no schema.
func (s *Store) Ping(ctx context.Context) error {
	text, arg := `SELECT current_setting($1)`, "transaction_read_only"
	if !s.postgres {
		text, arg = `SELECT $1`, "off"
	}
	answer, err := single(ctx, s.Read(), scanText, text, arg)
	if err == nil && answer != "off" {
		err = fmt.Errorf("%w: %w", ErrUnavailable, ErrReadOnly)
	}
	return err
}

// Ready is [Store.Ping] for a database with a schema, which it reads, too.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.Ping(ctx); err != nil {
		return err
	}
	_, err := s.Read().LastChange(ctx)
	return err
}

// Connections are the connections of this process to the database, at one
// moment.
type Connections struct {
	InUse, Idle, Max int
	Waits            uint64 // how often a caller had to wait since Open, because all were in use
}

// Connections counts the connections. Waits are normal with SQLite, whose
// writers take turns.
func (s *Store) Connections() Connections {
	of := func(db *sql.DB) Connections {
		n := db.Stats()
		return Connections{InUse: n.InUse, Idle: n.Idle, Max: n.MaxOpenConnections, Waits: uint64(n.WaitCount)}
	}
	all := of(s.read)
	all.Waits += s.inTurn.Waits()
	if s.write != s.read {
		write := of(s.write)
		all.InUse += write.InUse
		all.Idle += write.Idle
		all.Max += write.Max
		all.Waits += write.Waits
	}
	return all
}

// Clock returns the time of the database server's clock, which is the same for
// all nodes. With SQLite it is this process's.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	if !s.postgres {
		return time.Now(), nil
	}
	ms, err := count(ctx, s.Read(), `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`)
	return at(ms), err
}

// Close ends all connections.
func (s *Store) Close() error { return errors.Join(s.write.Close(), s.read.Close()) }

// Read returns queries outside a transaction. Each sees what was committed when
// it began.
func (s *Store) Read() *Q { return &Q{on: s.reader, outside: s, patience: s.cfg.Patience} }

// inside returns what a transaction works with.
func (s *Store) inside(on runner) *Q {
	return &Q{on: on, room: &s.room, postgres: s.postgres, patience: s.cfg.Patience}
}

// Write is [Store.WriteInTurn] for the server itself.
func (s *Store) Write(ctx context.Context, do func(*Q) error) error {
	return s.WriteInTurn(ctx, Turn{}, do)
}

// WriteInTurn runs do in a transaction that may change anything. All such
// transactions, of all nodes, happen one after another. It commits if do
// returns nil. Otherwise it rolls back and returns that error. do must not call
// Write, and must not wait for anything but the database. [ErrUncertain] means
// that the commit itself failed and may or may not have happened.
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
	ctx, cancel := s.inTime(ctx)
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

// WriteAside runs do in a transaction that touches only rows that no rule
// reads: last use, sessions, what has expired or was in a removed organization.
// It waits for no other transaction, and do must not add to the change log.
func (s *Store) WriteAside(ctx context.Context, do func(*Q) error) error {
	return s.transaction(ctx, s.aside, CallAside, do)
}

// writeOne is [Store.WriteAside] for one statement, which needs no more than
// one round trip: it is a transaction by itself. If the database's default is
// another isolation and somebody changes the same rows at the same time, do is
// called once more.
func (s *Store) writeOne(ctx context.Context, do func(*Q) error) error {
	err := s.call(ctx, CallAside, s.slots(s.aside), func() error {
		return do(s.inside(s.aside))
	})
	if errors.Is(err, errOverlap) {
		return s.WriteAside(ctx, do)
	}
	return err
}

// slots returns what a caller holds one of while it uses connections of on.
func (s *Store) slots(on *sql.DB) *limits.Slots[string] {
	if on != s.read {
		return nil
	}
	return s.inTurn
}

func (s *Store) transaction(ctx context.Context, on *sql.DB, what string, do func(*Q) error) error {
	ctx, cancel := s.inTime(ctx)
	defer cancel()
	return s.call(ctx, what, s.slots(on), func() error { return s.within(ctx, on, do) })
}

func (s *Store) within(ctx context.Context, on *sql.DB, do func(*Q) error) error {
	tx, err := on.BeginTx(ctx, s.isolation())
	if err != nil {
		return nameQuery(classify("begin a transaction", err), nil)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to undo after a commit; else the connection is lost anyway
	if err := do(s.inside(tx)); err != nil {
		var slow errSlow
		if errors.Is(err, ErrUnavailable) && errors.As(context.Cause(ctx), &slow) {
			return fmt.Errorf("a transaction: %w: %w", slow, err)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		if err = classify("commit", err); errors.Is(err, ErrDiskFull) {
			return err // the database has refused, so nothing has happened
		}
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return nil
}

// isolation returns the isolation of every transaction that changes something,
// whatever the database's default: one that has waited for the row that all
// changes lock must see what the one before it changed. SQLite has none to set.
func (s *Store) isolation() *sql.TxOptions {
	if s.postgres {
		return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	return nil
}

func (c *Config) observe(ctx context.Context, what string, began time.Time, err error) {
	if c.Observer != nil {
		if !errors.Is(err, ErrUnavailable) {
			err = nil // the database did answer
		}
		c.Observer.DatabaseCalled(ctx, what, began, err)
	}
}
