// Package template gives each test a database of its own that is a copy of one
// prepared once for the test binary. A copy costs some milliseconds, while the
// migrations alone cost a hundred times as many waits for the disk.
//
// It refuses to know: what a database is prepared with. It imports no driver,
// so that the store's own tests can use it.
package template

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
)

// Patience is how long tests let the server's queries take, unless they are
// about that: longer than their machine may keep a process from running, and
// shorter than a test waits for an answer.
const Patience = 20 * time.Second

// Databases makes copies of a prepared database. It is safe for concurrent use.
type Databases struct {
	sqlite   func() ([]byte, error)
	prepare  func(url string) error
	postgres sync.Once
	url      string
	err      error
}

// New returns a Databases. prepare fills an empty database, SQLite or
// PostgreSQL, and disconnects from it. It is called once for each kind, when
// the first copy is wanted.
func New(prepare func(url string) error) *Databases {
	return &Databases{prepare: prepare, sqlite: sync.OnceValues(func() ([]byte, error) { return file(prepare) })}
}

// SQLite returns the URL of a copy in the test's own directory.
func (d *Databases) SQLite(t testing.TB) string {
	t.Helper()
	content, err := d.sqlite()
	if err != nil {
		t.Fatalf("prepare the database: %v", err)
	}
	path := filepath.Join(t.TempDir(), "svcauth.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("copy the prepared database: %v", err)
	}
	return "sqlite://" + path
}

// Postgres returns the URL of a copy on the shared PostgreSQL. Without services
// the test is skipped.
func (d *Databases) Postgres(t testing.TB) string {
	t.Helper()
	needs.Service(t, "a real PostgreSQL") // before the one attempt, which a test that is skipped would spend
	d.postgres.Do(func() {
		d.err = errors.New("the first test that asked for it got no PostgreSQL")
		d.url = pgtest.URL(t)
		d.err = d.prepare(d.url)
	})
	if d.err != nil {
		t.Fatalf("prepare the database: %v", d.err)
	}
	return pgtest.Copy(t, d.url)
}

// file returns the content of a prepared SQLite file.
func file(prepare func(url string) error) ([]byte, error) {
	dir, err := os.MkdirTemp("", "template")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "svcauth.db")
	if err := prepare("sqlite://" + path); err != nil {
		return nil, err
	}
	if left, err := os.Stat(path + "-wal"); err == nil && left.Size() > 0 {
		return nil, fmt.Errorf("the database is still open: %s holds %d bytes", left.Name(), left.Size())
	}
	return os.ReadFile(path)
}
