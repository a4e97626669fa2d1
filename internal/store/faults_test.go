package store

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
)

// between stands between the store and PostgreSQL, and can lose the server's
// answers.
type between struct {
	net.Listener
	server string
	deaf   atomic.Bool // what the server says is swallowed, then the connection is cut
	mu     sync.Mutex
	conns  []net.Conn
}

func newBetween(t *testing.T, databaseURL string) (*between, string) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &between{Listener: l, server: u.Host}
	go b.serve()
	t.Cleanup(func() { _ = l.Close(); b.cut() })
	u.Host = l.Addr().String()
	return b, u.String()
}

func (b *between) serve() {
	for {
		client, err := b.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", b.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		b.mu.Lock()
		b.conns = append(b.conns, client, server)
		b.mu.Unlock()
		go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		go func() {
			defer client.Close()
			buf := make([]byte, 32<<10)
			for {
				n, err := server.Read(buf)
				if n > 0 && b.deaf.Load() {
					return
				}
				if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
					return
				}
			}
		}()
	}
}

func (b *between) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		_ = c.Close()
	}
	b.conns = nil
}

// TestUncertainCommitIsNamed: the server commits, and its answer is lost.
// Neither 'done' nor 'not done' would be true.
func TestUncertainCommitIsNamed(t *testing.T) {
	direct := pgtest.URL(t)
	_, err := open(t, direct).Migrate(t.Context())
	require.NoError(t, err)
	b, through := newBetween(t, direct)
	s := open(t, through)
	err = s.Write(t.Context(), func(q *Q) error {
		if _, err := q.AddChange(t.Context(), Change{Kind: ChangeOrg, ExpiresAt: moment0}); err != nil {
			return err
		}
		// what Write does before it commits, so that only the commit is
		// unanswered
		if err := q.storeCounter(t.Context()); err != nil {
			return err
		}
		q.locked = q.counter
		b.deaf.Store(true)
		return nil
	})
	require.ErrorIs(t, err, ErrUncertain)
	require.ErrorIs(t, err, ErrUnavailable)
	require.Eventually(t, func() bool {
		last, err := open(t, direct).Read().LastChange(t.Context())
		return err == nil && last == 1
	}, 30*time.Second, 50*time.Millisecond, "it did happen")

	// Broken before the commit, it is certain that nothing happened.
	b.deaf.Store(false)
	err = s.Write(t.Context(), func(q *Q) error {
		b.cut()
		_, err := q.AddChange(t.Context(), Change{Kind: ChangeOrg, ExpiresAt: moment0})
		return err
	})
	require.ErrorIs(t, err, ErrUnavailable)
	require.NotErrorIs(t, err, ErrUncertain)
	// And the pool heals by itself.
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, 30*time.Second, 20*time.Millisecond)
}

func TestPausedAndKilledDatabaseCostsAnError(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{})
	var failures atomic.Int64
	s, err := Open(Config{URL: server.NewDatabase(), Observer: observed{called: func(_ string, err error) {
		if err != nil {
			failures.Add(1)
		}
	}}})
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	filled(t, s)
	require.Zero(t, failures.Load())

	server.Pause()
	began := time.Now()
	_, err = s.Read().Credentials(t.Context(), "sa_a")
	require.ErrorIs(t, err, ErrUnavailable)
	require.Less(t, time.Since(began), 4*queryTimeout)
	require.Positive(t, failures.Load())
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began = time.Now()
	require.ErrorIs(t, s.Write(short, func(*Q) error { return nil }), ErrUnavailable)
	require.Less(t, time.Since(began), 2*queryTimeout-time.Second, "the caller's own time counts where it is less")
	server.Resume()
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, 30*time.Second, 20*time.Millisecond)

	server.Kill()
	_, err = s.Read().Credentials(t.Context(), "sa_a")
	require.ErrorIs(t, err, ErrUnavailable)
	require.NotContains(t, err.Error(), password(t, s.cfg.URL))
	require.ErrorIs(t, s.Write(t.Context(), func(*Q) error { return nil }), ErrUnavailable)
	server.Restart()
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, 30*time.Second, 20*time.Millisecond)
}

func password(t *testing.T, databaseURL string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	p, ok := u.User.Password()
	require.True(t, ok)
	return p
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		own := errors.New("own")
		add := func(q *Q) {
			require.NoError(t, q.InsertRole(t.Context(),
				RoleRow{ID: "role_x", OrgID: "org_a", Kind: RoleCustom, Name: "X"}, []string{"p:x"}))
			_, err := q.AddChange(t.Context(), Change{Kind: ChangeOrg, ExpiresAt: moment0})
			require.NoError(t, err)
		}
		require.Equal(t, own, s.Write(t.Context(), func(q *Q) error { add(q); return own }),
			"the caller's own error comes back as it is")
		require.PanicsWithValue(t, "fault", func() {
			_ = s.Write(t.Context(),
				func(q *Q) error { add(q); panic("fault") })
		})
		_, err := s.Read().Role(t.Context(), "org_a", "role_x")
		require.ErrorIs(t, err, ErrNotFound)
		last, err := s.Read().LastChange(t.Context())
		require.NoError(t, err)
		require.Zero(t, last)
		must(t, s, func(_ context.Context, q *Q) error { add(q); return nil }) // nothing is locked
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, s.Write(gone, func(*Q) error { return nil }), ErrUnavailable)
	})
}

func TestSQLiteFileIsNobodyElsesBusiness(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b#?%41", "svcauth.db")
	s := open(t, "sqlite://"+strings.ReplaceAll(path, "?", ""))
	path = strings.ReplaceAll(path, "?", "")
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	filled(t, s)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), suffix)
	}
	var mode string
	require.NoError(t, s.read.QueryRow(`PRAGMA journal_mode`).Scan(&mode))
	require.Equal(t, "wal", mode)
	var n int
	require.NoError(t, s.write.QueryRow(`PRAGMA synchronous`).Scan(&n))
	require.Equal(t, 2, n, "FULL: durable before acknowledged")
	require.NoError(t, s.write.QueryRow(`PRAGMA foreign_keys`).Scan(&n))
	require.Equal(t, 1, n)
	_, err = s.read.Exec(`DELETE FROM client`)
	require.Error(t, err, "readers can't write")
}

func TestOpenNamesTheFaultAndNoPassword(t *testing.T) {
	for raw, want := range map[string]string{
		"":                           "expected sqlite://PATH or postgres://",
		"mysql://u:s3cret@h/d":       "expected sqlite://PATH or postgres://",
		"sqlite://":                  "names no file",
		"postgres://u:s3cret@h:xx/d": "can't be used",
		"postgres://u:s3cret\n@h/d":  "holds a line break",
		"postgres://u:s3cret@h/d?sslmode=s3cret-no": "can't be used",
	} {
		_, err := Open(Config{URL: raw})
		require.ErrorContains(t, err, want, raw)
		require.NotContains(t, err.Error(), "s3cret", raw)
	}
}

// TestFullDiskIsNamedAndOver: SQLite says the same of a bound on its pages as
// of a full disk. Nothing of the transaction has happened, reading goes on, and
// writing does when there is room.
func TestFullDiskIsNamedAndOver(t *testing.T) {
	s := open(t, "sqlite://"+filepath.Join(t.TempDir(), "full.db"))
	_, err := s.Migrate(t.Context())
	require.NoError(t, err)
	pages := func(pragma string) (n int) {
		require.NoError(t, s.write.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&n))
		return n
	}
	pages("max_page_count=" + strconv.Itoa(pages("page_count")))
	much := func(q *Q) error {
		for range 100 {
			if _, err := q.AddChange(t.Context(), Change{Kind: ChangeOrg, Payload: strings.Repeat("x", 4096),
				ExpiresAt: moment0}); err != nil {
				return err
			}
		}
		return nil
	}
	err = s.Write(t.Context(), much)
	require.ErrorIs(t, err, ErrDiskFull)
	require.ErrorIs(t, err, ErrUnavailable)
	require.NotErrorIs(t, err, ErrUncertain)
	last, err := s.Read().LastChange(t.Context())
	require.NoError(t, err)
	require.Zero(t, last)
	pages("max_page_count=100000")
	require.NoError(t, s.Write(t.Context(), much))
}

// A transaction whose time is over says so, not what its next query meets.
func TestATransactionThatTakesTooLongSaysSo(t *testing.T) {
	t.Parallel()
	file := "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")
	_, err := open(t, file).Migrate(t.Context())
	require.NoError(t, err)
	const patience = 500 * time.Millisecond
	s, err := Open(Config{URL: file, Patience: patience})
	require.NoError(t, err)
	defer s.Close()
	err = s.Write(t.Context(), func(q *Q) error {
		time.Sleep(2*patience + 100*time.Millisecond)
		_, err := q.AddChange(t.Context(), Change{Kind: ChangeRevocation, Subject: "late", Payload: "{}",
			ExpiresAt: time.Now().Add(time.Hour)})
		return err
	})
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "not done after 1s")
}
