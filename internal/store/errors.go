package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/svcauth/svcauth/internal/away"
)

// What a query can fail with, for errors.Is. Anything else is a fault in this
// program.
var (
	ErrNotFound    = errors.New("no such row")
	ErrConflict    = errors.New("a row with this unique value exists")
	ErrReferenced  = errors.New("a row that this one names does not exist, or is named by another one")
	ErrStale       = errors.New("the row has changed since it was read")
	ErrUnavailable = errors.New(away.Database)
	// ErrDiskFull comes with ErrUnavailable. Reading goes on, and writing does
	// as soon as there is room.
	ErrDiskFull = errors.New("the disk of the database is full: nothing can be changed until there is room on it")
	// ErrReadOnly comes with ErrUnavailable. Reading goes on.
	ErrReadOnly = errors.New("the database takes no writes: it is a replica, or set to be read-only; " +
		"of several hosts in database.url, target_session_attrs=read-write finds the one that does")
	// ErrRefused is an ErrUnavailable: the database, or what stands before it,
	// answers, but refuses what the configuration asks of it.
	ErrRefused = fmt.Errorf("%w to this configuration", ErrUnavailable)
	// ErrTooOld is returned by [Store.Migrate] if a later release has changed
	// the schema so that it no longer takes this program.
	ErrTooOld = errors.New("the database is of a later release, which no longer takes this program")
	// errOverlap comes with ErrUnavailable: a statement of its own met what
	// another transaction did meanwhile, where the database's default is not
	// read committed.
	errOverlap = errors.New("another transaction has changed the same rows meanwhile")
	errHeld    = errors.New("another transaction has held a row for too long")
	// ErrUncertain comes with ErrUnavailable.
	ErrUncertain = errors.New("the database went away during the commit, which may or may not have happened")
)

// classify completes a driver's error with one of ours, by its type and code
// and never by its text. The text stays for logs: it holds names of
// constraints, no values.
func classify(doing string, err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) {
		return err
	}
	kind := error(nil)
	var pg *pgconn.PgError
	var lite *sqlite.Error
	var network net.Error
	var connect *pgconn.ConnectError
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &pg):
		kind = postgresKind(pg.Code)
		switch {
		case pg.Code == "53100":
			kind = join(kind, ErrDiskFull)
		case pg.Code == "25006":
			kind = join(kind, ErrReadOnly)
		case errors.As(err, &connect) && (kind == nil || pg.Code == "08P01"):
			kind = ErrRefused // PgBouncer has 08P01 for nearly everything
		}
		return fmt.Errorf("%s: %w", doing, join(kind, fmt.Errorf("%s %s (%s)", pg.Code, pg.Message, pg.ConstraintName)))
	case errors.As(err, &untrusted):
		kind = ErrRefused
	case errors.As(err, &lite):
		kind = sqliteKind(lite.Code())
		if lite.Code()&0xff == sqlite3.SQLITE_FULL {
			kind = join(kind, ErrDiskFull)
		}
	case errors.Is(err, sql.ErrNoRows):
		kind = ErrNotFound
	case errors.As(err, &network), errors.As(err, &connect),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone),
		pgconn.SafeToRetry(err), pgconn.Timeout(err), isBroken(err):
		kind = ErrUnavailable
	}
	return fmt.Errorf("%s: %w", doing, join(kind, err))
}

func join(kind, err error) error {
	if kind == nil {
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}

func postgresKind(code string) error {
	switch code {
	case "23505":
		return ErrConflict
	case "23503":
		return ErrReferenced
	case "55P03":
		return errHeld
	case "40001":
		return fmt.Errorf("%w: %w", ErrUnavailable, errOverlap)
	case "42P05", "26000": // a pooler that has not been recognised, see [connector.keeps]
		return ErrUnavailable
	case "25006": // read-only after a fail-over
		return ErrUnavailable
	}
	if len(code) != 5 {
		return nil
	}
	switch code[:2] {
	case "08", "40", "53", "57", "58": // connection, rolled back by the server, resources, operator, I/O
		return ErrUnavailable
	}
	return nil
}

func sqliteKind(code int) error {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return ErrConflict
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return ErrReferenced
	}
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM:
		return ErrUnavailable
	}
	return nil
}
