package store

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
)

// TestNodesStartThroughPgBouncer migrates an empty database from several nodes
// at once, all through a pooler that lends connections for one transaction, and
// then starts them again and again: nothing stays behind that holds one up.
func TestNodesStartThroughPgBouncer(t *testing.T) {
	direct := pgtest.URL(t)
	url := pgtest.PgBouncer(t, direct, nil)
	for range 3 {
		var all sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			s := open(t, url)
			all.Go(func() { _, errs[i] = s.Migrate(t.Context()) })
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
	}
	held, err := count(t.Context(), open(t, direct).Read(), `SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'`)
	require.NoError(t, err)
	require.Zero(t, held, "a lock stays behind")
	filled(t, open(t, url))
}

// TestNodesShareConnectionsThroughPgBouncer: what one node has prepared, another
// one finds on the connection that is lent to it next.
func TestNodesShareConnectionsThroughPgBouncer(t *testing.T) {
	url := pgtest.PgBouncer(t, migrated(t), nil)
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		s := open(t, url)
		all.Go(func() {
			for range 20 {
				_, err := s.Read().Credentials(t.Context(), "sa_a")
				if !errors.Is(err, ErrNotFound) {
					errs[i] = errors.Join(errs[i], err)
				}
				errs[i] = errors.Join(errs[i], s.Write(t.Context(), func(q *Q) error {
					_, err := q.AddChange(t.Context(), Change{Kind: ChangeOrg, ExpiresAt: moment0})
					return err
				}))
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}

// migrated is the URL of a database with the schema, not through a pooler.
func migrated(t *testing.T) string {
	t.Helper()
	url := pgtest.URL(t)
	_, err := open(t, url).Migrate(context.Background())
	require.NoError(t, err)
	return url
}
