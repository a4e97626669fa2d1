package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// crowd puts so many service accounts with a secret and a role into
// organization org_b of [filled].
func crowd(t *testing.T, s *Store, accounts int) {
	t.Helper()
	many := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1000000 UNION ALL SELECT i+1 FROM n WHERE i < %d) `,
		1_000_000+accounts-1)
	for _, text := range []string{
		`INSERT INTO client (id, org_id, kind, name, name_key, description, disabled, ttl_s, epoch, created_at_ms, created_by_id, created_by_name, version) ` + many +
			`SELECT 'sa_' || CAST(i AS TEXT), 'org_b', 'sa', 'n' || CAST(i AS TEXT), 'n' || CAST(i AS TEXT), '', FALSE, 0, 0, $1, '', '', 1 FROM n`,
		`INSERT INTO credential (id, client_id, org_id, kind, material, hint, description, created_at_ms,
			created_by_id, created_by_name) ` + many +
			`SELECT 'sec_' || CAST(i AS TEXT), 'sa_' || CAST(i AS TEXT), 'org_b', 'secret', CAST(i AS TEXT), '', '', $1,
			'', '' FROM n`,
		`INSERT INTO role_grant (principal_id, role_id, org_id, granted_at_ms) ` + many +
			`SELECT 'sa_' || CAST(i AS TEXT), 'role_b', 'org_b', $1 FROM n`,
	} {
		_, err := s.write.ExecContext(t.Context(), text, moment0.UnixMilli())
		require.NoError(t, err)
	}
}

// deleteRemoved deletes all there is and says in how many portions.
func deleteRemoved(t *testing.T, s *Store) (portions int) {
	for more := true; more; portions++ {
		require.NoError(t, s.WriteAside(t.Context(),
			func(q *Q) (err error) { more, err = q.DeleteRemoved(t.Context(), 500); return err }))
	}
	return portions
}

// An organization with 100,000 clients is gone at once and its rows go in
// portions, by two nodes at the same time, while others write. When one
// statement deleted all of it, that took every writer's place for more than a
// second, and with a million clients it never came to its end.
func TestRemovingALargeOrganizationLocksNobodyOut(t *testing.T) {
	needs.Time(t)
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		accounts := large(t)
		crowd(t, s, accounts)
		must(t, s, func(ctx context.Context, q *Q) error {
			if err := q.PutInvitation(ctx, InvitationRow{TokenHash: []byte("link"), OrgID: "org_b", MemberID: "mem_b",
				Kind: InvitationReset, ExpiresAt: moment0.Add(time.Hour)}); err != nil {
				return err
			}
			return q.InsertAuditEvent(ctx, svcauth.AuditEvent{ID: "evt_b", OrganizationID: "org_b", Time: moment0})
		})

		must(t, s, func(ctx context.Context, q *Q) error { return q.RemoveOrganization(ctx, "org_b") })
		gone(t, s)
		must(t, s, func(ctx context.Context, q *Q) error {
			return q.InsertOrganization(ctx, svcauth.Organization{ID: "org_c", Name: "B", CreatedAt: moment0})
		})

		stop := writing(t, s)
		began, portions := time.Now(), atomic.Int64{}
		var nodes sync.WaitGroup
		for range 2 {
			nodes.Go(func() { portions.Add(int64(deleteRemoved(t, s))) })
		}
		nodes.Wait()
		took := time.Since(began)
		written, worst := stop()
		t.Logf("%d clients in %d portions in %v; meanwhile %d writes, the longest took %v", accounts, portions.Load(),
			took.Round(time.Millisecond), written, worst.Round(time.Millisecond))
		require.GreaterOrEqual(t, portions.Load(), int64(accounts/500))
		require.Greater(t, written, portions.Load()/10, "writers got in all along")

		for table, column := range map[string]string{"organization": "id", "client": "org_id", "credential": "org_id",
			"role_grant": "org_id", "role": "org_id", "member": "org_id", "invitation": "org_id"} {
			n, err := count(t.Context(), s.Read(), `SELECT COUNT(*) FROM `+table+` WHERE `+column+` = 'org_b'`)
			require.NoError(t, err)
			require.Zero(t, n, table)
		}
		n, err := count(t.Context(), s.Read(), `SELECT COUNT(*) FROM audit_event WHERE id = 'evt_b'`)
		require.NoError(t, err)
		require.EqualValues(t, 1, n, "the audit log stays")
		c, err := s.Read().Credentials(t.Context(), "sa_a")
		require.NoError(t, err)
		require.Len(t, c.Secrets, 2, "the other organization is whole")
	})
}

// gone requires that nobody is let into organization org_b of [filled] any
// more, though its rows are there.
func gone(t *testing.T, s *Store) {
	t.Helper()
	q, ctx := s.Read(), t.Context()
	for name, read := range map[string]func() error{
		"client":            func() error { _, err := q.Credentials(ctx, "sa_b"); return err },
		"application key":   func() error { _, err := q.Credentials(ctx, "ak_b"); return err },
		"bearer of account": func() error { _, err := q.AccountPrincipal(ctx, "org_b", "sa_b"); return err },
		"bearer of member":  func() error { _, err := q.MemberPrincipal(ctx, "org_b", "mem_b", "ak_b"); return err },
		"session":           func() error { _, err := q.MemberOfSession(ctx, "mem_b"); return err },
		"sign-in":           func() error { _, err := q.MemberByEmail(ctx, "org_b", "M@Example.com"); return err },
		"link":              func() error { _, err := q.Invitation(ctx, []byte("link"), moment0); return err },
		"organization":      func() error { _, err := q.Organization(ctx, "org_b"); return err },
		"again": func() error {
			return s.Write(ctx, func(q *Q) error { return q.RemoveOrganization(ctx, "org_b") })
		},
	} {
		require.ErrorIs(t, read(), ErrNotFound, name)
	}
	require.ErrorIs(t, s.Write(ctx, func(q *Q) error { return q.UpdateOrganization(ctx, orgB) }), ErrStale)
	all, err := q.Organizations(ctx, "", 10)
	require.NoError(t, err)
	require.Len(t, all, 1)
	members, err := q.MembersByEmail(ctx, "M@Example.com", 10)
	require.NoError(t, err)
	require.Len(t, members, 1, "who has a place in another organization signs in there")
}
