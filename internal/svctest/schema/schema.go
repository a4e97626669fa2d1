// Package schema gives each test an empty database of its own that holds the
// current schema: a copy of one that was migrated once for the test binary.
// What tests the migrations themselves begins with [pgtest.URL] or a new file.
package schema

import (
	"context"
	"errors"
	"testing"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest/template"
)

// Patience is [template.Patience].
const Patience = template.Patience

var migrated = template.New(func(url string) error {
	s, err := store.Open(store.Config{URL: url, Patience: Patience})
	if err != nil {
		return err
	}
	_, err = s.Migrate(context.Background())
	return errors.Join(err, s.Close())
})

// SQLite returns the URL of a file in the test's own directory.
func SQLite(t testing.TB) string {
	t.Helper()
	return migrated.SQLite(t)
}

// Postgres returns the URL of a database on the shared PostgreSQL. Without
// services the test is skipped.
func Postgres(t testing.TB) string {
	t.Helper()
	return migrated.Postgres(t)
}
