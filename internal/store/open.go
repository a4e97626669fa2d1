package store

import (
	"cmp"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // registers "sqlite"

	"github.com/svcauth/svcauth/internal/limits"
)

// Open returns a Store for the database that the URL names. It makes SQLite's
// file (mode 0600) if there is none. It does not touch the schema, which is
// [Store.Migrate]'s, and PostgreSQL need not answer yet.
func Open(cfg Config) (*Store, error) {
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 20
	}
	to, err := parseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("database.url: %w", err)
	}
	if to.postgres != nil && to.postgres.ConnectTimeout == 0 {
		to.postgres.ConnectTimeout = cmp.Or(cfg.Patience, connectTimeout)
	}
	cfg.Patience = cmp.Or(cfg.Patience, queryTimeout)
	if to.postgres == nil {
		return openSQLite(cfg, to.file)
	}
	return openPostgres(cfg, newConnector(to)), nil
}

func openPostgres(cfg Config, connects *connector) *Store {
	pool := func(size int) *sql.DB {
		db := sql.OpenDB(connects)
		db.SetMaxOpenConns(size)
		db.SetMaxIdleConns(size)
		db.SetConnMaxIdleTime(5 * time.Minute)
		db.SetConnMaxLifetime(time.Hour)
		return db
	}
	if cfg.MaxConns < 2*writers {
		db := pool(cfg.MaxConns)
		return &Store{
			cfg: cfg, postgres: true, connects: connects, read: db, write: db, aside: db, reader: db,
			inTurn: inTurn(cfg.MaxConns), turns: newTurns(),
		}
	}
	read := pool(cfg.MaxConns - writers)
	return &Store{
		cfg: cfg, postgres: true, connects: connects, read: read, write: pool(writers), aside: read, reader: read,
		inTurn: inTurn(cfg.MaxConns - writers), turns: newTurns(),
	}
}

// writers is how many connections are kept for changes, one for each lane of
// [Turn].
const writers = 2

func openSQLite(cfg Config, path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the database: %w", err)
	}
	// The file holds hashes of secrets and sealed keys, so no other user of the
	// machine may read it.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database file: %w", err)
	}
	_ = file.Close()
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=foreign_keys(1)&_pragma=cache_size(-16000)"
	write, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	size := max(2, cfg.MaxConns/2)
	read.SetMaxOpenConns(size)
	read.SetMaxIdleConns(size)
	return &Store{
		cfg: cfg, read: read, write: write, aside: write, reader: newPrepared(read),
		inTurn: inTurn(size), turns: newTurns(),
	}, nil
}

// inTurn returns the slots of size connections, two of which are kept for the
// operator and for the server itself.
func inTurn(size int) *limits.Slots[string] {
	return limits.NewSlots[string](size, min(2, size/2))
}

// isBroken reports whether err is one of those that mean a lost connection but
// have no type of their own.
func isBroken(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}
