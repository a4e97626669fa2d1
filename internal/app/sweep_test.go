// Not under the race detector: it fills a database for the sweep, whose
// goroutine meets others in the database alone.

//go:build !race

package app_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/dbdump"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// While the server runs it deletes what has expired, of each kind more than one
// portion, and what was in a removed organization. What has not expired stays.
// Grants and signing keys expire by rules: see access and keyring. Redis
// forgets the records of tokens: see cache.
func TestExpiredRowsDisappearByThemselves(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { disappear(t, schema.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { disappear(t, schema.Postgres(t)) })
}

func disappear(t *testing.T, url string) {
	s := svctest.New(t, svctest.Options{DatabaseURL: url, Environ: []string{"SVCAUTH_AUDIT_RETENTION=24h"}})
	leaving := s.NewTenant("leaving")
	s.AccountIn(leaving, "robot", "clusters:view")
	s.Stop()
	db, err := store.Open(store.Config{URL: url, Patience: schema.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	put(t, db, s.Tenant.Organization.ID, "past", 1200, time.Now().Add(-time.Minute))
	put(t, db, s.Tenant.Organization.ID, "ahead", 1, time.Now().Add(time.Hour))
	require.NoError(t, db.Write(t.Context(),
		func(q *store.Q) error { return q.RemoveOrganization(t.Context(), leaving.Organization.ID) }))
	require.Positive(t, belonging(t, db, leaving.Organization.ID))
	require.Equal(t, 5*1200, strings.Count(dbdump.Rows(t, url), "past-\n"))

	s.Start()
	require.Eventually(t, func() bool {
		return belonging(t, db, leaving.Organization.ID) == 0 && strings.Count(dbdump.Rows(t, url), "past-\n") == 0
	}, patience, 100*time.Millisecond)
	require.Equal(t, 5, strings.Count(dbdump.Rows(t, url), "ahead-\n"), "what has not expired stays")
}

// belonging counts the rows that name an organization. Those of the audit log
// and the change log outlive it.
func belonging(t *testing.T, db *store.Store, org string) (rows int) {
	t.Helper()
	require.NoError(t, db.Dump(t.Context(), func(r store.DumpedRow) error {
		if r.Table != "audit_event" && r.Table != "change" && slices.Contains(r.Values, any(org)) {
			rows++
		}
		return nil
	}))
	return rows
}

// put writes so many rows of each kind that expires, each with the name and a
// dash in it.
func put(t *testing.T, db *store.Store, org, name string, count int, expires time.Time) {
	t.Helper()
	const portion = 100 // of a transaction, whose time is bounded
	for begin := 0; begin < count; begin += portion {
		require.NoError(t, db.Write(t.Context(), func(q *store.Q) error {
			for range min(portion, count-begin) {
				if err := row(t.Context(), q, org, name+"-", expires); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	for range count {
		require.NoError(t, db.Sessions().CommitCtx(t.Context(), rand.Text(), []byte(name+"-"), expires))
	}
}

// row writes one of each kind, sessions aside; of changes two kinds.
func row(ctx context.Context, q *store.Q, org, name string, expires time.Time) error {
	for _, kind := range []string{store.ChangeRevocation, store.ChangeClient} {
		if _, err := q.AddChange(ctx,
			store.Change{OrgID: org, Kind: kind, Subject: name,
				Payload:   fmt.Sprintf(`{"jti":"%s","exp":%d}`, rand.Text(), expires.Unix()),
				ExpiresAt: expires}); err != nil {
			return err
		}
	}
	member := store.MemberRow{ID: svcauth.NewID(svcauth.PrefixMember), OrgID: org,
		Email: svcauth.NewID(svcauth.PrefixMember) + "@example.com", CreatedAt: time.Now()}
	if err := q.InsertMember(ctx, member); err != nil {
		return err
	}
	if err := q.PutInvitation(ctx,
		store.InvitationRow{TokenHash: []byte(rand.Text()), OrgID: org, MemberID: member.ID,
			Kind: store.InvitationInvite, ExpiresAt: expires, MadeByID: name}); err != nil {
		return err
	}
	return q.InsertAuditEvent(ctx,
		svcauth.AuditEvent{ID: svcauth.NewID(svcauth.PrefixEvent), OrganizationID: org,
			Time: expires.Add(-24 * time.Hour), Reason: name})
}
