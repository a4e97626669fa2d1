package store

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/template"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// empties runs test on an empty SQLite file and an empty PostgreSQL database,
// without a schema.
func empties(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, "sqlite://"+filepath.Join(t.TempDir(), "svcauth.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, pgtest.URL(t)) })
}

// databases runs test on both with the schema, and on PostgreSQL through a real
// PgBouncer, too.
func databases(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("sqlite", func(t *testing.T) { test(t, open(t, withSchema.SQLite(t))) })
	t.Run("postgres", func(t *testing.T) { test(t, open(t, withSchema.Postgres(t))) })
	t.Run("pgbouncer", func(t *testing.T) { test(t, open(t, pgtest.PgBouncer(t, withSchema.Postgres(t), nil))) })
}

// large is how many rows a test has that needs very many. Through PgBouncer they
// are fewer: the database's work is the same as without, and what differs is
// how each statement gets there.
func large(t *testing.T) int {
	switch {
	case testing.Short():
		return 5_000
	case strings.HasSuffix(t.Name(), "/pgbouncer"):
		return 10_000
	}
	return 100_000
}

// withSchema makes databases that hold the schema.
var withSchema = template.New(func(url string) error {
	s, err := Open(Config{URL: url, Patience: template.Patience})
	if err != nil {
		return err
	}
	_, err = s.Migrate(context.Background())
	return errors.Join(err, s.Close())
})

func open(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(Config{URL: url, Patience: template.Patience})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// observed is an [Observer] of functions, which may be nil.
type observed struct {
	called func(what string, err error)
	waits  func(because string)
}

func (o observed) DatabaseCalled(_ context.Context, what string, _ time.Time, err error) {
	if o.called != nil {
		o.called(what, err)
	}
}

func (o observed) MigrationWaits(because string) {
	if o.waits != nil {
		o.waits(because)
	}
}

var (
	moment0 = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	orgA    = svcauth.Organization{ID: "org_a", Name: "A", Operator: true, CreatedAt: moment0, Version: 1,
		PasswordSignIn: svcauth.PasswordSignInOn}
	orgB = svcauth.Organization{ID: "org_b", Name: "B", CreatedAt: moment0, Version: 1,
		PasswordSignIn: svcauth.PasswordSignInOn}
)

// must runs one transaction that has to succeed.
func must(t *testing.T, s *Store, do func(context.Context, *Q) error) {
	t.Helper()
	require.NoError(t, s.Write(t.Context(), func(q *Q) error { return do(t.Context(), q) }))
}

// filled makes two organizations, each with the role Public, a custom role, a
// service account with a secret that holds that role, and a member with an
// application key.
func filled(t *testing.T, s *Store) {
	t.Helper()
	must(t, s, func(ctx context.Context, q *Q) error {
		for _, org := range []svcauth.Organization{orgA, orgB} {
			x := org.ID[4:]
			member := "mem_" + x
			later := moment0.Add(time.Hour)
			for _, err := range []error{
				q.InsertOrganization(ctx, org),
				q.InsertRole(ctx, RoleRow{ID: "role_public_" + x, OrgID: org.ID, Kind: RolePublic, Name: "Public",
					CreatedAt: moment0}, []string{"p:public"}),
				q.InsertRole(ctx, RoleRow{ID: "role_" + x, OrgID: org.ID, Kind: RoleCustom, Name: "Role",
					CreatedAt: moment0}, []string{"p:one", "p:two"}),
				q.InsertMember(ctx, MemberRow{ID: member, OrgID: org.ID, Email: "M@Example.com", CreatedAt: moment0,
					ActivatedAt: &moment0}),
				q.InsertClient(ctx, ClientRow{ID: "sa_" + x, OrgID: org.ID, Kind: ClientServiceAccount, Name: "CI",
					TTLSeconds: 60, CreatedAt: moment0}),
				q.InsertClient(ctx, ClientRow{ID: "ak_" + x, OrgID: org.ID, Kind: ClientApplicationKey,
					MemberID: &member, CreatedAt: moment0}),
				q.InsertCredential(ctx, CredentialRow{ID: "sec_1" + x, ClientID: "sa_" + x, OrgID: org.ID,
					Kind: CredentialSecret, Material: "$s$0001ff", CreatedAt: moment0, ExpiresAt: &later}),
				q.InsertCredential(ctx, CredentialRow{ID: "sec_2" + x, ClientID: "sa_" + x, OrgID: org.ID,
					Kind: CredentialSecret, Material: "$s$02", CreatedAt: moment0}),
				q.InsertCredential(ctx, CredentialRow{ID: "sec_3" + x, ClientID: "ak_" + x, OrgID: org.ID,
					Kind: CredentialSecret, Material: "$s$03", CreatedAt: moment0}),
				q.PutGrant(ctx, GrantRow{OrgID: org.ID, PrincipalID: "sa_" + x, RoleID: "role_" + x,
					GrantedAt: moment0, ExpiresAt: &later}),
				q.PutGrant(ctx, GrantRow{OrgID: org.ID, PrincipalID: member, RoleID: "role_" + x, GrantedAt: moment0}),
			} {
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}
