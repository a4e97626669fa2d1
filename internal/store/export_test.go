package store

import (
	"context"
	"testing"
)

// MigrateTo migrates a database for tests of package store_test to an older
// version of the schema.
func MigrateTo(t *testing.T, s *Store, version int64) {
	t.Helper()
	p, err := s.provider(migrations, s.write)
	if err == nil {
		_, err = p.UpTo(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Exec runs a statement as it is.
func (s *Store) Exec(ctx context.Context, text string, args ...any) error {
	_, err := s.write.ExecContext(ctx, text, args...)
	return err
}
