package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Open connects to the database that the URL names and makes SQLite's file (mode
// 0600) if there is none. It does not touch the schema: see [Store.Migrate].
// PostgreSQL need not answer yet.
func Open(cfg Config) (*Store, error) {
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 20
	}
	to, err := parseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("database.url: %w", err)
	}
	if to.postgres == nil {
		return openSQLite(cfg, to.file)
	}
	return openPostgres(cfg, to.postgres), nil
}

func openPostgres(cfg Config, settings *pgx.ConnConfig) *Store {
	pool := func(size int) *sql.DB {
		db := stdlib.OpenDB(*settings)
		db.SetMaxOpenConns(size)
		db.SetMaxIdleConns(size)
		db.SetConnMaxIdleTime(5 * time.Minute)
		db.SetConnMaxLifetime(time.Hour)
		return db
	}
	if cfg.MaxConns < 2*writers {
		db := pool(cfg.MaxConns)
		return &Store{cfg: cfg, postgres: true, read: db, write: db, aside: db, reader: db}
	}
	read := pool(cfg.MaxConns - writers)
	return &Store{cfg: cfg, postgres: true, read: read, write: pool(writers), aside: read, reader: read}
}

// writers is how many connections are kept for changes: see [Turn].
const writers = 2

func openSQLite(cfg Config, path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the database: %w", err)
	}
	// The file holds hashes of secrets and sealed keys: nobody else on the machine has any business in it.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database file: %w", err)
	}
	_ = file.Close()
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=cache_size(-16000)"
	write, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	read.SetMaxOpenConns(max(2, cfg.MaxConns/2))
	read.SetMaxIdleConns(max(2, cfg.MaxConns/2))
	return &Store{cfg: cfg, read: read, write: write, aside: write, reader: newPrepared(read)}, nil
}

// isBroken tells the errors that mean a lost connection but have no type of their own.
func isBroken(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// Migrate brings the schema up to what this program expects, forward only, and says how many steps it took. Nodes that start at once
// wait for one another. A schema that is newer than the program is left alone: the previous release runs beside the next one.
func (s *Store) Migrate(ctx context.Context) (int, error) {
	migrating, err := s.provider(migrations)
	if err != nil {
		return 0, err
	}
	release, err := s.migrationLock(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	done, err := migrating.Up(ctx)
	if err != nil {
		return len(done), classify("migrate the schema", err)
	}
	return len(done), nil
}

// Pending says how many migrations are still to be applied.
func (s *Store) Pending(ctx context.Context) (int, error) {
	migrating, err := s.provider(migrations)
	if err != nil {
		return 0, err
	}
	steps, err := migrating.Status(ctx)
	if err != nil {
		return 0, classify("read the schema's version", err)
	}
	pending := 0
	for _, step := range steps {
		if step.State == goose.StatePending {
			pending++
		}
	}
	return pending, nil
}

// provider reads the migrations below from, in the dialect of this database.
func (s *Store) provider(from fs.FS) (*goose.Provider, error) {
	dialect, replacer := goose.DialectSQLite3, strings.NewReplacer()
	if s.postgres {
		dialect = goose.DialectPostgres
		replacer = strings.NewReplacer(`COLLATE BINARY`, `COLLATE "C"`, ` BLOB`, ` BYTEA`)
	}
	files, err := fs.Sub(from, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	migrating, err := goose.NewProvider(dialect, s.write, translated{files, replacer}, goose.WithAllowOutofOrder(true), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return migrating, nil
}

// translated is a directory whose files are read in the dialect of a database.
type translated struct {
	fs.FS
	dialect *strings.Replacer
}

// Open is of [fs.FS].
func (t translated) Open(name string) (fs.File, error) {
	file, err := t.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	text, err := io.ReadAll(file)
	return translatedFile{file, strings.NewReader(t.dialect.Replace(string(text)))}, err
}

type translatedFile struct {
	fs.File
	text *strings.Reader
}

func (f translatedFile) Read(p []byte) (int, error) { return f.text.Read(p) }

// migrationLock keeps two nodes from migrating at once. SQLite has one process, and its file is locked by the transaction itself.
func (s *Store) migrationLock(ctx context.Context) (release func(), err error) {
	if !s.postgres {
		return func() {}, nil
	}
	size := s.write.Stats().MaxOpenConnections
	s.write.SetMaxOpenConns(max(2, size)) // the lock takes one, the migration another
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return nil, classify("connect", err)
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock(7315911263)`); err != nil {
		_ = conn.Close()
		return nil, classify("wait for another node's migration", err)
	}
	return func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(7315911263)`)
		_ = conn.Close()
		s.write.SetMaxOpenConns(size)
	}, nil
}
