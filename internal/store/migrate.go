package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// migrationWait is how long Migrate waits for somebody else who makes no
	// progress, unless the configuration says how long.
	migrationWait = 5 * time.Minute
	// migrationKey is the key of the advisory lock of the migrations.
	migrationKey = 7315911263
	// maxTableWait is how long a migration waits for a table. Queries that come
	// after it wait for that table as well.
	maxTableWait = "3s"
)

// busyError is what a migration has to wait for.
type busyError string

func (e busyError) Error() string { return string(e) }

// Migrate brings the schema up to what this program expects, forward only, and
// returns how many steps it took. It takes no lock if nothing is pending.
//
// Nodes that start at once share the steps. Each step is one transaction that
// holds the lock: a lock of the session would be lost with a pooler, which
// lends the session to others.
//
// A schema that is newer than the program is left alone, since the previous
// release runs beside the next one. It returns [ErrTooOld] if that schema says,
// in schema_floor, that it no longer takes this program. This is the rule for
// whoever writes a migration:
//
//   - Its number is above that of every migration of a release.
//   - The release before must go on reading and writing: what is new may be
//     empty or has a default, and nothing is renamed.
//   - An index on a table that is there already is built beside its writers, in
//     a migration of its own (see [Store.applyOnline]). All changes of all nodes
//     would wait for one that locks the table.
//   - A table or column may be dropped, or narrowed, by the release after the
//     one that last used it. Such a migration sets schema_floor to the newest
//     migration of the release before, and a program that does not know that one
//     no longer starts.
func (s *Store) Migrate(ctx context.Context) (done int, err error) {
	if err := s.Room(ctx); err != nil {
		return 0, err
	}
	p := &patience{wait: cmp.Or(s.cfg.MigrationWait, migrationWait), observe: func(because string) {
		if s.cfg.Observer != nil {
			s.cfg.Observer.MigrationWaits(because)
		}
	}}
	for {
		pending, err := s.Pending(ctx)
		if err != nil {
			return done, err
		}
		if pending == 0 {
			return done, s.checkFloor(ctx)
		}
		if pending != p.pending {
			p.pending, p.since = pending, time.Time{}
		}
		n, err := s.step(ctx, p)
		done += n
		busy := busyError("")
		if !errors.As(err, &busy) {
			if err != nil {
				return done, classify("migrate the schema", err)
			}
			continue
		}
		if err := p.with(busy); err != nil {
			return done, err
		}
		select {
		case <-p.pause():
		case <-ctx.Done():
			return done, classify("wait to migrate the schema", ctx.Err())
		}
	}
}

// Room returns an [ErrRefused] if the first migration would find no schema in
// which it may make its tables.
func (s *Store) Room(ctx context.Context) error {
	if !s.postgres {
		return nil
	}
	var user, schema string
	var begun, may bool
	err := s.write.QueryRowContext(ctx, `SELECT current_user, COALESCE(current_schema(), ''),
		to_regclass('goose_db_version') IS NOT NULL,
		COALESCE(has_schema_privilege(current_schema(), 'CREATE'), FALSE)`).Scan(&user, &schema, &begun, &may)
	switch {
	case err != nil:
		return classify("look for the schema", err)
	case begun || may:
		return nil
	case schema == "":
		return fmt.Errorf("%w: there is no schema for the tables: search_path names none that the user %s may use; "+
			"make one (CREATE SCHEMA … AUTHORIZATION %s), or change search_path", ErrRefused, user, user)
	}
	return fmt.Errorf("%w: the user %s may make no tables in the schema %s; "+
		"allow it (GRANT CREATE ON SCHEMA %s TO %s), make it the owner of the database, "+
		"or run `svcauth migrate` as one who may",
		ErrRefused, user, schema, schema, user)
}

// checkFloor returns [ErrTooOld] if the schema no longer takes this
// program.
func (s *Store) checkFloor(ctx context.Context) error {
	migrating, err := s.provider(migrations, s.write)
	if err != nil {
		return err
	}
	var floor int64
	if err := s.write.QueryRowContext(ctx, `SELECT migration FROM schema_floor`).Scan(&floor); err != nil {
		return classify("read which programs the schema takes", err)
	}
	known := migrating.ListSources()
	if newest := known[len(known)-1].Version; newest < floor {
		return fmt.Errorf("%w: it knows migrations up to %d, and must know %d; "+
			"start the release that runs elsewhere, or the one before it; "+
			"to go back further, restore the backup from then",
			ErrTooOld, newest, floor)
	}
	return nil
}

// Pending returns how many migrations are still to be applied.
func (s *Store) Pending(ctx context.Context) (int, error) {
	migrating, err := s.provider(migrations, s.write)
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

// step applies the next migration, if there is one. It returns a busyError if
// somebody else holds what it needs.
func (s *Store) step(ctx context.Context, p *patience) (done int, err error) {
	if !s.postgres { // one process alone has the file
		return s.applyNext(ctx, s.write)
	}
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	err = conn.Raw(func(raw any) error {
		inner := sql.OpenDB(outer{raw.(*stdlib.Conn)})
		defer inner.Close()
		inner.SetMaxOpenConns(1)
		committed := driver.TxOptions{Isolation: driver.IsolationLevel(sql.LevelReadCommitted)}
		whole, err := raw.(*stdlib.Conn).BeginTx(ctx, committed)
		if err != nil {
			return err
		}
		if err = s.lockMigrations(ctx, inner); err == nil {
			done, err = s.applyLocked(ctx, inner, p)
		}
		if err != nil {
			return errors.Join(err, whole.Rollback())
		}
		return whole.Commit()
	})
	if blocked := (*pgconn.PgError)(nil); errors.As(err, &blocked) && blocked.Code == "55P03" {
		err = busyError("somebody else has been using a table that the next one changes" +
			" (pg_locks and pg_stat_activity say who)")
	}
	if err != nil {
		return 0, err
	}
	return done, nil
}

func (s *Store) applyNext(ctx context.Context, on *sql.DB) (int, error) {
	migrating, err := s.provider(migrations, on)
	if err != nil {
		return 0, err
	}
	_, err = migrating.UpByOne(ctx)
	if errors.Is(err, goose.ErrNoNextVersion) {
		return 0, nil
	}
	return 1, err
}

// lockMigrations takes the lock of the migrations until the transaction ends,
// or says who has it.
func (s *Store) lockMigrations(ctx context.Context, in *sql.DB) error {
	var got bool
	err := in.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1)`, int64(migrationKey)).Scan(&got)
	if err != nil {
		return err
	}
	if got {
		_, err := in.ExecContext(ctx, `SET LOCAL lock_timeout = '`+maxTableWait+`'`)
		return err
	}
	who := "another process"
	// Without an answer it stays unnamed.
	_ = in.QueryRowContext(ctx, `SELECT `+processText+` FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND CAST(l.classid AS BIGINT) = $1 AND CAST(l.objid AS BIGINT) = $2 LIMIT 1`,
		int64(migrationKey>>32), int64(migrationKey&0xffffffff)).Scan(&who)
	return busyError(who + " has been holding the lock under which they are applied")
}

// processText names the process of the row a of pg_stat_activity.
const processText = `'the process with the PID ' || a.pid ||
	COALESCE(' of ' || NULLIF(a.application_name, ''), '') || COALESCE(' at ' || host(a.client_addr), '')`

// outer is a connection within a transaction that its user opened: one that is
// begun on it becomes a part of that.
type outer struct{ *stdlib.Conn }

// Connect and Driver are of [driver.Connector].
func (o outer) Connect(context.Context) (driver.Conn, error) { return o, nil }
func (o outer) Driver() driver.Driver                        { return stdlib.GetDefaultDriver() }

// ResetSession and Close leave the connection to its user.
func (o outer) ResetSession(context.Context) error { return nil }
func (o outer) Close() error                       { return nil }

// BeginTx is of [driver.ConnBeginTx].
func (o outer) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	_, err := o.ExecContext(ctx, `SAVEPOINT inner_transaction`, nil)
	return savepoint{o}, err
}

type savepoint struct{ in outer }

// Commit and Rollback are of [driver.Tx].
func (p savepoint) Commit() error   { return p.end(`RELEASE SAVEPOINT inner_transaction`) }
func (p savepoint) Rollback() error { return p.end(`ROLLBACK TO SAVEPOINT inner_transaction`) }

func (p savepoint) end(text string) error {
	_, err := p.in.ExecContext(context.Background(), text, nil)
	return err
}

// provider reads the migrations below from, in the dialect of this database, to
// apply them on a connection to it.
func (s *Store) provider(from fs.FS, on *sql.DB) (*goose.Provider, error) {
	dialect, replacer := goose.DialectSQLite3, strings.NewReplacer()
	if s.postgres {
		dialect = goose.DialectPostgres
		replacer = strings.NewReplacer(`COLLATE BINARY`, `COLLATE "C"`, ` BLOB`, ` BYTEA`,
			`hex(hash)`, `encode(hash, 'hex')`, `-- on PostgreSQL: `, ``)
	}
	files, err := fs.Sub(from, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	migrating, err := goose.NewProvider(dialect, on, translated{files, replacer},
		goose.WithAllowOutofOrder(true), goose.WithDisableGlobalRegistry(true))
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
