package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
)

// TestDefaultsOfTheDatabaseChangeNothing: what an administrator has set for the
// database or its user, for other programs perhaps, holds for this one too.
// Nodes start at once on it, change things at once and read back what they
// wrote.
func TestDefaultsOfTheDatabaseChangeNothing(t *testing.T) {
	const text = "Łódź 漢字 😀"
	for name, settings := range map[string][]string{
		"isolation": {`default_transaction_isolation = 'serializable'`},
		"snapshots": {`default_transaction_isolation = 'repeatable read'`, `default_transaction_deferrable = on`,
			`search_path = 'auth'`},
		"forms": {`client_encoding = 'LATIN1'`, `datestyle = 'German'`, `timezone = 'Asia/Kathmandu'`,
			`intervalstyle = 'sql_standard'`,
			`standard_conforming_strings = off`, `extra_float_digits = -15`, `array_nulls = off`,
			`transform_null_equals = on`},
		"plans and waits": {`enable_seqscan = off`, `plan_cache_mode = 'force_generic_plan'`, `jit_above_cost = 0`,
			`client_min_messages = 'debug5'`,
			`lock_timeout = '30s'`, `statement_timeout = '30s'`, `idle_in_transaction_session_timeout = '30s'`,
			`row_security = off`},
	} {
		t.Run(name, func(t *testing.T) {
			direct := pgtest.URL(t)
			u, err := url.Parse(direct)
			require.NoError(t, err)
			administer(t, direct, `CREATE SCHEMA auth`)
			for _, setting := range settings {
				administer(t, direct, `ALTER DATABASE `+strings.TrimPrefix(u.Path, "/")+` SET `+setting)
			}
			for _, through := range []string{direct, pgtest.PgBouncer(t, direct, nil)} {
				nodes := []*Store{open(t, through), open(t, through), open(t, through)}
				errs := make([]error, len(nodes))
				var all sync.WaitGroup
				for i, s := range nodes {
					all.Go(func() { _, errs[i] = s.Migrate(t.Context()) })
				}
				all.Wait()
				require.NoError(t, errors.Join(errs...))
				if through == direct {
					filled(t, nodes[0])
					must(t, nodes[0], func(ctx context.Context, q *Q) error {
						return q.InsertClient(ctx,
							ClientRow{ID: "sa_l", OrgID: "org_a", Kind: ClientServiceAccount, Name: text,
								TTLSeconds: 60, CreatedAt: moment0})
					})
				}
				before, err := nodes[0].Read().LastChange(t.Context())
				require.NoError(t, err)
				const each = 20
				for i, s := range nodes {
					all.Go(func() {
						for range each {
							errs[i] = errors.Join(errs[i], s.Write(t.Context(), func(q *Q) error {
								_, err := q.AddChange(t.Context(), Change{Kind: ChangeOrg, ExpiresAt: moment0})
								return err
							}))
							_, err := s.Read().Credentials(t.Context(), "sa_a")
							errs[i] = errors.Join(errs[i], err)
						}
					})
				}
				all.Wait()
				require.NoError(t, errors.Join(errs...))
				after, err := nodes[1].Read().LastChange(t.Context())
				require.NoError(t, err)
				require.EqualValues(t, each*len(nodes), after-before)
				usedAtOnce(t, nodes)
				for _, s := range nodes {
					read, err := s.Read().Credentials(t.Context(), "sa_a")
					require.NoError(t, err)
					require.Contains(t, []string{read.Secrets[0].Material, read.Secrets[1].Material}, "$s$0001ff")
					read, err = s.Read().Credentials(t.Context(), "sa_l")
					require.NoError(t, err)
					require.Equal(t, text, read.Name)
				}
			}
		})
	}
}

// usedAtOnce: of nodes that record the same use at once one is the first, and
// none fails.
func usedAtOnce(t *testing.T, nodes []*Store) {
	t.Helper()
	for round := range 20 {
		use := AssertionUse{
			ID: fmt.Sprintf("use-%d-%p", round, nodes[0]), ClientID: "sa_a", Until: moment0.Add(time.Minute),
		}
		firsts := make([][]string, len(nodes))
		errs := make([]error, len(nodes))
		var all sync.WaitGroup
		for i, s := range nodes {
			all.Go(func() { firsts[i], errs[i] = s.UseAssertions(t.Context(), []AssertionUse{use}, moment0) })
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
		require.Equal(t, []string{use.ID}, slices.Concat(firsts...))
	}
}

// administer runs statements in a database as its superuser.
func administer(t *testing.T, url string, statements ...string) {
	t.Helper()
	s, err := Open(Config{URL: url, MaxConns: 1})
	require.NoError(t, err)
	defer s.Close()
	for _, text := range statements {
		_, err = s.read.ExecContext(t.Context(), text)
		require.NoError(t, err)
	}
}

// majorOf returns the major version of a PostgreSQL.
func majorOf(t *testing.T, url string) (major int) {
	t.Helper()
	s, err := Open(Config{URL: url, MaxConns: 1})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.read.QueryRowContext(t.Context(),
		`SELECT current_setting('server_version_num')::int / 10000`).Scan(&major))
	return major
}

// TestDatabasesInWhichNothingWouldWorkAreRefused at the start, with what to do:
// an encoding that lacks characters, and bytes that come as nobody expects
// them.
func TestDatabasesInWhichNothingWouldWorkAreRefused(t *testing.T) {
	first := pgtest.URL(t)
	at, err := url.Parse(first)
	require.NoError(t, err)
	for i, c := range []struct{ create, set, why string }{
		{`ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`, "", "it has the encoding LATIN1"},
		{`ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C'`, "", "it has the encoding EUC_JP"},
		{`ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'`, "", ""},
		{`ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LC_COLLATE 'C' LC_CTYPE 'C'`, "", ""},
		{`ENCODING 'UTF8'`, `bytea_output = 'escape'`, "ALTER ROLE … SET bytea_output = 'hex'"},
	} {
		t.Run(c.create+c.set, func(t *testing.T) {
			if strings.Contains(c.create, "LOCALE_PROVIDER") && majorOf(t, first) < 15 {
				t.Skip("PostgreSQL has this from 15 on")
			}
			name := fmt.Sprintf("odd_%d", i)
			administer(t, first, `CREATE DATABASE `+name+` TEMPLATE template0 `+c.create)
			if c.set != "" {
				administer(t, first, `ALTER DATABASE `+name+` SET `+c.set)
			}
			direct := *at
			direct.Path = "/" + name
			for _, through := range []string{direct.String(), pgtest.PgBouncer(t, direct.String(), nil)} {
				s := open(t, through)
				_, err := s.Migrate(t.Context())
				if c.why == "" || c.set != "" && through == direct.String() {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, ErrRefused)
				require.ErrorContains(t, err, c.why)
			}
		})
	}
}

// TestNoRoomForTablesIsSaid: a user who is not the database's owner, as
// PostgreSQL 15 has it, or whose search_path names nothing, is told what to do.
// Once somebody else has made the tables, it needs no leave to make any.
func TestNoRoomForTablesIsSaid(t *testing.T) {
	direct := pgtest.URL(t)
	u, err := url.Parse(direct)
	require.NoError(t, err)
	database := strings.TrimPrefix(u.Path, "/")
	user := "user_of_" + database
	administer(t, direct, `CREATE ROLE `+user+` LOGIN PASSWORD 'pw'`, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	u.User = url.UserPassword(user, "pw")
	migrate := func() error { _, err := open(t, u.String()).Migrate(t.Context()); return err }
	require.ErrorIs(t, migrate(), ErrRefused)
	require.ErrorContains(t, migrate(), "GRANT CREATE ON SCHEMA public TO "+user)
	administer(t, direct, `ALTER ROLE `+user+` SET search_path = 'nowhere'`)
	require.ErrorIs(t, migrate(), ErrRefused)
	require.ErrorContains(t, migrate(), "search_path names none")
	administer(t, direct, `CREATE SCHEMA nowhere AUTHORIZATION `+user)
	require.NoError(t, migrate())

	administer(t, direct, `ALTER ROLE `+user+` RESET search_path`)
	_, err = open(t, direct).Migrate(t.Context())
	require.NoError(t, err)
	administer(t, direct, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO `+user)
	require.NoError(t, migrate())
	filled(t, open(t, u.String()))
}
