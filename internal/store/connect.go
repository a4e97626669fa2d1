package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// connector makes the connections to PostgreSQL. It finds out whether they end
// at the server or at a pooler such as PgBouncer, which lends a connection of
// its own for one transaction. Then nothing that a session keeps is there in
// the next transaction: neither a prepared statement nor a setting nor a lock.
type connector struct {
	settings pgx.ConnConfig
	// chosen is true if the URL says how queries are run, which is then obeyed.
	chosen bool
	pooled atomic.Bool // a pooler has been met, by any connection so far
}

func newConnector(to target) *connector {
	c := &connector{settings: *to.postgres, chosen: to.execModeChosen}
	c.settings.OnPgError = c.keeps
	return c
}

// Driver implements [driver.Connector].
func (c *connector) Driver() driver.Driver { return stdlib.GetDefaultDriver() }

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	pooled := c.pooled.Load()
	conn, err := c.connect(ctx, pooled)
	if err == nil && !pooled && c.pooled.Load() && !c.chosen {
		_ = conn.Close() // it would prepare statements
		conn, err = c.connect(ctx, true)
	}
	return conn, err
}

func (c *connector) connect(ctx context.Context, pooled bool) (driver.Conn, error) {
	settings := c.settings
	settings.RuntimeParams = maps.Clone(settings.RuntimeParams)
	maps.Copy(settings.RuntimeParams, ownSettings)
	if pooled && !c.chosen {
		settings.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	conn, err := stdlib.GetConnector(settings).Connect(ctx)
	if err != nil {
		return nil, c.explain(err)
	}
	ctx, cancel := context.WithTimeout(ctx, settings.ConnectTimeout)
	defer cancel()
	if err := c.probe(ctx, conn.(*stdlib.Conn).Conn().PgConn()); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// ownSettings say how texts and times travel, whatever the database's or the
// user's defaults. Every pooler hands them on, since every driver sets them.
var ownSettings = map[string]string{"client_encoding": "UTF8", "DateStyle": "ISO"}

// keeps reports whether a connection may stay in use after an error.
func (c *connector) keeps(_ *pgconn.PgConn, err *pgconn.PgError) bool {
	switch err.Code {
	case "42P05", "26000":
		// A statement that this connection has not prepared is there, or one
		// that it has is not: a pooler that hands on the server's process id.
		c.pooled.Store(true)
		return c.chosen
	case "25006":
		// The server has become a replica. A new connection goes to the one
		// that takes writes, if the URL or what stands between says which that
		// is.
		return false
	}
	return !strings.EqualFold(err.Severity, "FATAL")
}

// probe finds out whether a pooler answers, and returns an [ErrRefused] if
// nothing would work behind it. A pooler gives out its own keys for cancelling,
// so the process id in the key is not that of the process that answers.
func (c *connector) probe(ctx context.Context, conn *pgconn.PgConn) error {
	switch encoding := conn.ParameterStatus("server_encoding"); encoding {
	case "", "UTF8", "SQL_ASCII":
	default:
		return fmt.Errorf("%w: it has the encoding %s, in which not every name can be written; "+
			"expected UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", ErrRefused, encoding)
	}
	results, err := conn.Exec(ctx, `SELECT pg_backend_pid(), current_setting('bytea_output')`).ReadAll()
	if err != nil {
		return err
	}
	row := results[0].Rows[0]
	if string(row[0]) == strconv.FormatUint(uint64(conn.PID()), 10) {
		return nil
	}
	c.pooled.Store(true)
	if string(row[1]) != "hex" && !c.chosen {
		return fmt.Errorf("%w: a pooler stands before it, and bytea_output is %s there, which can't be read without "+
			"prepared statements; set it to hex: ALTER ROLE … SET bytea_output = 'hex'", ErrRefused, row[1])
	}
	if _, err := conn.Exec(ctx, `BEGIN`).ReadAll(); err != nil {
		if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
			return fmt.Errorf("%w: a pooler stands before it that takes no transactions (%s); "+
				"set its pool_mode to transaction or session", ErrRefused, refused.Message)
		}
		return err
	}
	for name, value := range sessionSettings(c.settings.RuntimeParams) {
		if err := inForce(ctx, conn, name, value); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, `ROLLBACK`).ReadAll()
	return err
}

// inForce returns an [ErrRefused] if a pooler has not handed on a setting of
// the URL.
func inForce(ctx context.Context, conn *pgconn.PgConn, name, value string) error {
	result := conn.ExecParams(ctx, `SELECT current_setting($1, true), set_config($1, $2, true)`,
		[][]byte{[]byte(name), []byte(value)}, nil, nil, nil).Read()
	if result.Err != nil {
		return result.Err
	}
	if row := result.Rows[0]; string(row[0]) != string(row[1]) {
		return fmt.Errorf("%w: a pooler stands before it that has not handed on the setting %s of the URL; %s",
			ErrRefused, name, settingsElsewhere)
	}
	return nil
}

const settingsElsewhere = "take it out of the URL and give it to the user: ALTER ROLE … SET …"

// explain adds advice to err if the server or a pooler refused a setting of the
// URL.
func (c *connector) explain(err error) error {
	names := slices.Sorted(maps.Keys(sessionSettings(c.settings.RuntimeParams)))
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && refused.Code == "08P01" && len(names) > 0 {
		return fmt.Errorf("%w: %s (%s); if that is a setting (the URL has %s), %s",
			ErrRefused, refused.Message, refused.Code, strings.Join(names, ", "), settingsElsewhere)
	}
	return err
}

// sessionSettings returns those of the URL's options that are settings of a
// session of PostgreSQL, except application_name, which poolers know.
func sessionSettings(options map[string]string) map[string]string {
	settings := maps.Clone(options)
	delete(settings, "application_name")
	delete(settings, "options")
	words := strings.Fields(options["options"])
	for i, word := range words {
		if word == "-c" && i+1 < len(words) {
			word = "-c" + words[i+1]
		}
		text, isSetting := strings.CutPrefix(word, "-c")
		if !isSetting {
			text, isSetting = strings.CutPrefix(word, "--")
		}
		if name, value, ok := strings.Cut(text, "="); ok && isSetting {
			settings[strings.ReplaceAll(name, "-", "_")] = value
		}
	}
	return settings
}
