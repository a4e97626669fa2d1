package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// connectTimeout bounds a connect to PostgreSQL if the URL does not.
const connectTimeout = 3 * time.Second

// target is a parsed URL.
type target struct {
	postgres *pgx.ConnConfig // nil: SQLite
	// execModeChosen is true if the URL has default_query_exec_mode.
	execModeChosen bool
	file           string // of SQLite
}

// CheckURL returns the error with which [Open] would refuse a URL, or nil. It
// contacts nobody and makes no file. A URL is one of
//
//	sqlite://PATH
//	postgres://USER:PASSWORD@HOST:5432/NAME?OPTION=VALUE
//
// or postgresql:// with all that libpq takes after it: several hosts with
// commas between them, and a socket's directory as ?host=/DIR or %2FDIR. The
// error never quotes the URL, which may hold a password.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

// SQLiteFile returns the file that a URL names; ok is false if it names none.
func SQLiteFile(raw string) (path string, ok bool) {
	to, err := parseURL(raw)
	return to.file, err == nil && to.postgres == nil
}

func parseURL(raw string) (target, error) {
	if strings.ContainsFunc(raw, unicode.IsControl) {
		return target{}, errors.New("holds a line break or another control character; " +
			"take it out, or write it as %0A if it belongs to a password")
	}
	switch scheme, rest, _ := strings.Cut(raw, "://"); scheme {
	case "sqlite":
		path, _, options := strings.Cut(rest, "?")
		if path == "" {
			return target{}, errors.New("names no file; expected one such as sqlite://data/svcauth.db")
		}
		if options {
			return target{}, errors.New("has a ? after its file, but SQLite takes no options here; take it away")
		}
		return target{file: path}, nil
	case "postgres", "postgresql":
		settings, err := parsePostgres(raw, rest)
		if err != nil {
			return target{}, err
		}
		plain, err := pgconn.ParseConfig(raw) // which leaves what it does not know
		if err != nil {
			return target{}, err
		}
		_, chosen := plain.RuntimeParams["default_query_exec_mode"]
		return target{postgres: settings, execModeChosen: chosen}, nil
	}
	return target{}, errors.New("has a scheme that is not known; " +
		"expected sqlite://PATH or postgres://USER@HOST:5432/NAME")
}

// libpqOnly are options of libpq that pgx hands on to the server, which knows
// no such setting and would refuse every connection.
var libpqOnly = []string{
	"sslcompression", "sslcrl", "sslcrldir", "requirepeer", "requiressl", "ssl_min_protocol_version",
	"ssl_max_protocol_version", "gssencmode", "gsslib", "gssdelegation", "hostaddr", "keepalives", "keepalives_idle",
	"keepalives_interval", "keepalives_count", "tcp_user_timeout", "load_balance_hosts", "fallback_application_name",
	"scram_client_key", "scram_server_key", "sslkeylogfile",
	"oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope",
}

// parsePostgres leaves the reading to pgx, which reads as libpq does.
func parsePostgres(raw, rest string) (*pgx.ConnConfig, error) {
	authority, path, _ := strings.Cut(rest, "/")
	name, _, _ := strings.Cut(path, "?")
	if !strings.Contains(authority, "@") && strings.Contains(name, "@") {
		return nil, errors.New("has an @ after its host; write / and @ in a password as %2F and %40")
	}
	settings, err := pgx.ParseConfig(raw)
	if err != nil {
		return nil, errors.New(whyRefused(err, path))
	}
	for option := range settings.RuntimeParams {
		if slices.Contains(libpqOnly, option) {
			return nil, fmt.Errorf("has the option %s, which svcauth does not have; take it away", option)
		}
	}
	if settings.RuntimeParams["application_name"] == "" {
		settings.RuntimeParams["application_name"] = "svcauth"
	}
	return settings, nil
}

// whyRefused returns pgx's reason without the URL before it and without
// anything that may be part of a password.
func whyRefused(err error, path string) string {
	const hint = "write / ? # @ % in a user or a password as %2F %3F %23 %40 %25"
	var refused *pgconn.ParseConfigError
	if !errors.As(err, &refused) || strings.Contains(path, "@") {
		return "can't be read; expected postgres://USER:PASSWORD@HOST:5432/NAME, and " + hint
	}
	text := err.Error()
	if end := strings.LastIndex(text, "`: "); end >= 0 {
		text = text[end+len("`: "):]
	}
	if strings.HasPrefix(text, "failed to parse as URL") {
		text += "; " + hint
	}
	return "can't be used: " + text
}
