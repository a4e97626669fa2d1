// Package dbdump reads everything that a database holds, for tests that look
// for what must not be there.
//
// It refuses to know: what any of it means.
package dbdump

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // registers "sqlite"
)

// Read returns every value of every row of every table, one a line, in the
// order of tables and columns; of SQLite also the bytes of its files, where
// deleted rows may linger.
func Read(t testing.TB, databaseURL string) string {
	t.Helper()
	var b strings.Builder
	path, lite := strings.CutPrefix(databaseURL, "sqlite://")
	driver, dsn, list := "pgx", databaseURL, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`
	if lite {
		driver, dsn, list = "sqlite",
			"file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(5000)&_pragma=query_only(1)",
			`SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1`
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	defer db.Close()
	tables := column(t, db, list)
	require.NotEmpty(t, tables)
	for _, table := range tables {
		fmt.Fprintf(&b, "table %s\n", table)
		for _, line := range column(t, db, `SELECT * FROM "`+table+`"`) {
			b.WriteString(line + "\n")
		}
	}
	if lite {
		for _, suffix := range []string{"", "-wal"} {
			raw, err := os.ReadFile(path + suffix)
			if !os.IsNotExist(err) {
				require.NoError(t, err)
				b.Write(raw)
			}
		}
	}
	return b.String()
}

// Rows is [Read] without the bytes of files: equal if the rows are.
func Rows(t testing.TB, databaseURL string) string {
	t.Helper()
	all := Read(t, databaseURL)
	if i := strings.Index(all, "SQLite format 3\x00"); i >= 0 {
		return all[:i]
	}
	return all
}

func column(t testing.TB, db *sql.DB, query string) (lines []string) {
	t.Helper()
	rows, err := db.Query(query)
	require.NoError(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		values, targets := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		require.NoError(t, rows.Scan(targets...))
		texts := make([]string, len(names))
		for i, v := range values {
			if raw, ok := v.([]byte); ok {
				v = string(raw)
			}
			texts[i] = fmt.Sprint(v)
		}
		lines = append(lines, strings.Join(texts, "\n"))
	}
	require.NoError(t, rows.Err())
	return lines
}
