package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/svcauth/svcauth/internal/timespan"
)

var (
	// online marks a migration that may be in no transaction.
	online = regexp.MustCompile(`(?m)^-- \+goose NO TRANSACTION$`)
	// built are the indexes that such a migration builds.
	built = regexp.MustCompile(`CREATE INDEX CONCURRENTLY IF NOT EXISTS (\w+)`)
)

// applyLocked applies the next migration, if there is one. locked is the
// transaction that holds the lock of the migrations.
func (s *Store) applyLocked(ctx context.Context, locked *sql.DB, p *patience) (int, error) {
	migrating, err := s.provider(migrations, locked)
	if err != nil {
		return 0, err
	}
	steps, err := migrating.Status(ctx)
	if err != nil {
		return 0, err
	}
	for _, step := range steps {
		if step.State != goose.StatePending {
			continue
		}
		text, err := fs.ReadFile(migrations, "migrations/"+step.Source.Path)
		if err == nil && online.Match(text) {
			return s.applyOnline(ctx, locked, p, string(text))
		}
		return s.applyNext(ctx, locked)
	}
	return 0, nil
}

// applyOnline applies the next migration, which builds or drops indexes, on a
// connection of its own: PostgreSQL does so beside those who read and write, but
// in no transaction. Meanwhile locked keeps the lock.
//
// Such a step is not undone if it is cut short. So each of its statements is
// right once more (IF NOT EXISTS), and an index that was left half built is
// removed before.
func (s *Store) applyOnline(ctx context.Context, locked *sql.DB, p *patience, text string) (done int, err error) {
	// It also ends the portal of the query before, with its snapshot, for whose
	// end PostgreSQL would wait.
	if _, err := locked.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		return 0, err
	}
	beside := sql.OpenDB(s.connects)
	defer beside.Close()
	beside.SetMaxOpenConns(2) // one is the watch's
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		if err := p.watch(ctx, beside, ended); err != nil {
			stop(err)
		}
	}()
	defer func() {
		close(ended)
		<-watched
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	for _, index := range built.FindAllStringSubmatch(text, -1) {
		var half bool
		err := beside.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_index
			WHERE indexrelid = to_regclass($1) AND NOT indisvalid)`, index[1]).Scan(&half)
		if err == nil && half {
			_, err = beside.ExecContext(ctx, `DROP INDEX CONCURRENTLY `+index[1])
		}
		if err != nil {
			return 0, err
		}
	}
	return s.applyNext(ctx, beside)
}

// patience bounds how long a migration waits for somebody who makes no
// progress, and says once for whom.
type patience struct {
	wait    time.Duration
	since   time.Time // when it began to wait; zero: it does not
	observe func(because string)
	pending int
}

// pause is the time from one try, or one look, to the next.
func (p *patience) pause() <-chan time.Time { return time.After(min(p.wait/10, time.Second)) }

// with notes what is waited for, and returns an error if that took too long.
func (p *patience) with(busy busyError) error {
	if p.since.IsZero() {
		p.since = time.Now()
		p.observe(string(busy))
	}
	if time.Since(p.since) <= p.wait {
		return nil
	}
	return fmt.Errorf("the schema lacks %d migrations, and for %s %s; "+
		"if that is no node that is starting, end it there (SELECT pg_terminate_backend(PID)), and start again",
		p.pending, timespan.Text(p.wait), busy)
}

// watch looks whether the step that builds or drops an index waits for the
// transaction of somebody else, until it has ended or that takes too long.
func (p *patience) watch(ctx context.Context, beside *sql.DB, ended <-chan struct{}) error {
	for {
		select {
		case <-ended:
			return nil
		case <-p.pause():
		}
		var who string
		err := beside.QueryRowContext(ctx, `SELECT `+processText+`
			FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) blocking (pid)
			JOIN pg_stat_activity a ON a.pid = blocking.pid
			WHERE w.datname = current_database() AND w.wait_event_type = 'Lock' AND w.query LIKE '%INDEX CONCURRENTLY%'
			LIMIT 1`).Scan(&who)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			p.since = time.Time{}
		case err == nil:
			err = p.with(busyError(who + " has been in a transaction that began before an index could be built"))
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}
