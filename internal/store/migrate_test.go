package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/dbdump"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// What a database of each schema may hold: testdata/schema/NNNNN.sql is run
// right after migration NNNNN, before the next one. A migration that adds or
// changes a table has a file of its own; the rows of the older ones must
// survive it.
//
//go:embed testdata/schema/*.sql
var schemaData embed.FS

// versions lists the migrations in order.
func versions(t *testing.T, s *Store, from fs.FS) []int64 {
	t.Helper()
	p, err := s.provider(from, s.write)
	require.NoError(t, err)
	var all []int64
	for _, source := range p.ListSources() {
		all = append(all, source.Version)
	}
	return all
}

// upTo migrates step by step to the version, and fills in the data that belongs
// to each schema on the way.
func upTo(t *testing.T, s *Store, from fs.FS, version int64) {
	t.Helper()
	p, err := s.provider(from, s.write)
	require.NoError(t, err)
	for _, v := range versions(t, s, from) {
		if v > version {
			return
		}
		done, err := p.UpTo(t.Context(), v)
		require.NoError(t, err)
		if len(done) > 0 {
			fill(t, s, v)
		}
	}
}

func fill(t *testing.T, s *Store, version int64) {
	t.Helper()
	text, err := schemaData.ReadFile(fmt.Sprintf("testdata/schema/%05d.sql", version))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	require.NoError(t, err)
	run(t, s, string(text))
}

// run executes statements, each ended by a semicolon and a line break.
func run(t *testing.T, s *Store, text string) {
	t.Helper()
	for statement := range strings.SplitSeq(text, ";\n") {
		if strings.TrimSpace(statement) != "" {
			if s.postgres {
				statement = hexLiteral.ReplaceAllString(statement, `'\x$1'`)
			}
			_, err := s.write.ExecContext(t.Context(), statement)
			require.NoError(t, err, statement)
		}
	}
}

var hexLiteral = regexp.MustCompile(`x'([0-9a-f]+)'`)

// tables counts the rows of each table.
func tables(t *testing.T, url string) map[string]int {
	t.Helper()
	rows, table := map[string]int{}, ""
	for line := range strings.SplitSeq(dbdump.Rows(t, url), "\n") {
		if name, ok := strings.CutPrefix(line, "table "); ok {
			table = name
		}
		rows[table]++
	}
	return rows
}

func TestMigrationFromEmpty(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		s := open(t, url)
		all := versions(t, s, migrations)
		pending, err := s.Pending(t.Context())
		require.NoError(t, err)
		require.Equal(t, len(all), pending)
		done, err := s.Migrate(t.Context())
		require.NoError(t, err)
		require.Equal(t, len(all), done)
		done, err = s.Migrate(t.Context())
		require.NoError(t, err)
		require.Zero(t, done)
		pending, err = s.Pending(t.Context())
		require.NoError(t, err)
		require.Zero(t, pending)
		filled(t, s)
	})
}

// TestMigrationFromEachSchemaWithData takes a database of each older schema,
// with rows in every table, to the newest one: nothing is lost, and the program
// can read it.
func TestMigrationFromEachSchemaWithData(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		everySchema(t, url, migrations)
	})
}

// TestTheMigrationHarness proves that the test above would notice a migration
// that loses rows, also while there is only one.
func TestTheMigrationHarness(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		first, err := fs.ReadFile(migrations, "migrations/00001_schema.sql")
		require.NoError(t, err)
		from := fstest.MapFS{"migrations/00001_schema.sql": {Data: first},
			"migrations/00002_next.sql": {Data: []byte("-- +goose Up\nALTER TABLE client ADD COLUMN extra " +
				"TEXT COLLATE BINARY NOT NULL DEFAULT '';\nDELETE FROM secret;\n")}}
		s := open(t, url)
		upTo(t, s, from, 1)
		before := tables(t, url)
		upTo(t, s, from, 2)
		after := tables(t, url)
		require.Equal(t, []string{"secret"}, lost(before, after))
		require.Greater(t, before["secret"], 1)
	})
}

// movedTo says which table has the rows of one that is gone.
var movedTo = map[string]string{"secret": "credential"}

// lost names the tables that have fewer rows than before.
func lost(before, after map[string]int) []string {
	var all []string
	for table, n := range before {
		now, there := after[table]
		if !there {
			now = after[movedTo[table]]
		}
		if now < n {
			all = append(all, table)
		}
	}
	return all
}

func everySchema(t *testing.T, url string, from fs.FS) {
	t.Helper()
	s := open(t, url)
	all := versions(t, s, from)
	require.NotEmpty(t, all)
	upTo(t, s, from, all[max(0, len(all)-2)])
	before := tables(t, url)
	for table, n := range before {
		require.Greater(t, n, 1, "testdata/schema has no row for the table %s", table)
	}
	upTo(t, s, from, all[len(all)-1])
	require.Empty(t, lost(before, tables(t, url)))
	c, err := s.Read().Credentials(t.Context(), "sa_old")
	require.NoError(t, err)
	require.Equal(t, "old account", c.Name)
	require.Equal(t, "$s$0102ff", c.Secrets[0].Material)
	roles, err := s.Read().HeldRoles(t.Context(), c.OrgID, c.Principal())
	require.NoError(t, err)
	require.Len(t, roles, 2)
	live, err := s.Read().LiveRevocations(t.Context(), 0, 99, 10)
	require.NoError(t, err)
	require.NotEmpty(t, live)
	last, err := s.Read().LastChange(t.Context())
	require.NoError(t, err)
	must(t, s, func(ctx context.Context, q *Q) error {
		seq, err := q.AddChange(ctx, Change{Kind: ChangeOrg, ExpiresAt: moment0})
		require.Equal(t, last+1, seq)
		return err
	})
}

// TestGrantsOfBeforeGetAnID migrates grants from before they had one.
func TestGrantsOfBeforeGetAnID(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		s := open(t, url)
		upTo(t, s, migrations, 9)
		accounts := []string{svcauth.NewID(svcauth.PrefixServiceAccount), svcauth.NewID(svcauth.PrefixMember)}
		roles := []string{svcauth.NewID(svcauth.PrefixRole), svcauth.NewID(svcauth.PrefixRole)}
		for _, role := range roles {
			run(t, s,
				fmt.Sprintf("INSERT INTO role (id, org_id, kind, name, name_key, description, created_at_ms, "+
					"version) VALUES ('%s', 'org_old', 'custom', '%[1]s', '%[1]s', '', 1, 1)", role))
			for _, account := range accounts {
				run(t, s,
					fmt.Sprintf("INSERT INTO role_grant (principal_id, role_id, org_id, granted_at_ms) "+
						"VALUES ('%s', '%s', 'org_old', 1)", account, role))
			}
		}
		_, err := s.Migrate(t.Context())
		require.NoError(t, err)
		ids := map[string]bool{}
		for _, account := range accounts {
			for _, role := range roles {
				g, err := s.Read().Grant(t.Context(), "org_old", account, role)
				require.NoError(t, err)
				require.True(t, svcauth.ValidID(svcauth.PrefixGrant, g.ID), g.ID)
				ids[g.ID] = true
			}
		}
		require.Len(t, ids, 4)
	})
}

func TestNodesThatMigrateAtOnceWaitForOneAnother(t *testing.T) {
	url := pgtest.URL(t)
	var all sync.WaitGroup
	done := make([]int, 5)
	errs := make([]error, len(done))
	for i := range done {
		s := open(t, url)
		all.Go(func() { done[i], errs[i] = s.Migrate(t.Context()) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	total := 0
	for _, n := range done {
		total += n
	}
	require.Equal(t, len(versions(t, open(t, url), migrations)), total)
}

// TestMigrateWithOneConnection: database.max_open_conns may be 1, and the lock
// of the migration must not take the only one.
func TestMigrateWithOneConnection(t *testing.T) {
	s, err := Open(Config{URL: pgtest.URL(t), MaxConns: 1})
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Migrate(t.Context())
	require.NoError(t, err)
	filled(t, s)
}

// TestNewerSchemaIsLeftAlone: the previous release goes on beside the next one,
// and starts again beside it.
func TestNewerSchemaIsLeftAlone(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		s := open(t, url)
		_, err := s.Migrate(t.Context())
		require.NoError(t, err)
		next := fstest.MapFS{"migrations/99999_next.sql": {Data: []byte("-- +goose Up\nALTER TABLE client " +
			"ADD COLUMN extra TEXT NOT NULL DEFAULT '';\n")}}
		for _, name := range []string{"migrations"} {
			entries, err := fs.ReadDir(migrations, name)
			require.NoError(t, err)
			for _, entry := range entries {
				raw, err := fs.ReadFile(migrations, name+"/"+entry.Name())
				require.NoError(t, err)
				next[name+"/"+entry.Name()] = &fstest.MapFile{Data: raw}
			}
		}
		p, err := s.provider(next, s.write)
		require.NoError(t, err)
		results, err := p.Up(t.Context())
		require.NoError(t, err)
		require.Len(t, results, 1)
		done, err := s.Migrate(t.Context())
		require.NoError(t, err)
		require.Zero(t, done)
		pending, err := s.Pending(t.Context())
		require.NoError(t, err)
		require.Zero(t, pending)
		filled(t, s)
	})
}

// TestASchemaThatNoLongerTakesThisProgramIsRefused: one release back is right,
// two are not, and nothing but the schema can know.
func TestASchemaThatNoLongerTakesThisProgramIsRefused(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		s := open(t, url)
		_, err := s.Migrate(t.Context())
		require.NoError(t, err)
		all := versions(t, s, migrations)
		newest := all[len(all)-1]
		run(t, s, fmt.Sprintf("UPDATE schema_floor SET migration = %d", newest))
		_, err = s.Migrate(t.Context())
		require.NoError(t, err)
		run(t, s, fmt.Sprintf("UPDATE schema_floor SET migration = %d", newest+1))
		_, err = s.Migrate(t.Context())
		require.ErrorIs(t, err, ErrTooOld)
		require.ErrorContains(t, err, fmt.Sprintf("it knows migrations up to %d, and must know %d", newest, newest+1))
	})
}

func TestMigrationsOnlyGoForward(t *testing.T) {
	s := open(t, "sqlite://"+t.TempDir()+"/x.db")
	p, err := s.provider(migrations, s.write)
	require.NoError(t, err)
	for _, source := range p.ListSources() {
		require.Equal(t, goose.TypeSQL, source.Type)
		text, err := fs.ReadFile(migrations, "migrations/"+source.Path)
		require.NoError(t, err)
		require.NotContains(t, string(text), "+goose Down")
		if source.Version == 18 { // the last that could: there was no release yet
			continue
		}
		floor := regexp.MustCompile(`UPDATE schema_floor SET migration = (\d+)`).FindStringSubmatch(string(text))
		if floor == nil {
			require.NotRegexp(t, `(?i)\b(drop\s+(table|column)|rename)\b`, string(text),
				"the previous release runs beside it: see the rule at Migrate")
			continue
		}
		before, err := strconv.ParseInt(floor[1], 10, 64)
		require.NoError(t, err)
		require.Less(t, before, source.Version, "the release before runs beside it")
	}
}

// Secrets that were there before their makers were written down get them from
// the audit log, or from who made the account together with its first secret.
func TestMakersOfOldSecretsAreFound(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		s := open(t, url)
		upTo(t, s, migrations, 8)
		run(t, s, `INSERT INTO secret (id, client_id, org_id, scheme, hash, hint, description, created_at_ms)
  VALUES ('sec_logged', 'sa_old', 'org_old', 's', x'03', 'abcd', '', 1767323049999);
INSERT INTO secret (id, client_id, org_id, scheme, hash, hint, description, created_at_ms)
  VALUES ('sec_unknown', 'sa_old', 'org_old', 's', x'04', 'abcd', '', 1767323049999);
INSERT INTO audit_event (id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind, target_name, outcome, reason, before_json, after_json, ip, request_id)
  VALUES ('evt_made', 'org_old', 1767323049999, 'mem_bob', 'member', 'bob@b.example', '', 'secret.create', 'sec_logged', 'secret', '', 'done', '', '', '', '', '')`)
		_, err := s.Migrate(t.Context())
		require.NoError(t, err)
		secrets, err := s.Read().Secrets(t.Context(), "org_old", "sa_old")
		require.NoError(t, err)
		makers := map[string]string{}
		for _, one := range secrets {
			makers[one.ID] = one.CreatedBy.ID + " " + one.CreatedBy.Email
		}
		require.Equal(t, map[string]string{"sec_old": "mem_old a@b.example", "sec_logged": "mem_bob bob@b.example",
			"sec_unknown": " "}, makers)
	})
}
