// Not under the race detector: each case starts a server that stops at once;
// the tests of nodes run whole servers under the race detector.

//go:build !race

package app_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/schema"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// odd is one setting, as variables without SVCAUTH_, and what is said of it;
// empty: it is taken.
type odd struct{ env, want string }

// checkAndStart gives one configuration to config check and to a start, and
// requires that both take it, or both refuse it.
func checkAndStart(t *testing.T, o odd) {
	t.Helper()
	dir := t.TempDir()
	environ := []string{"SVCAUTH_DATABASE_URL=sqlite://" + filepath.Join(dir, "data", "svcauth.db"),
		"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "data", "master.key"),
		"SVCAUTH_LISTEN=127.0.0.1:0", "SVCAUTH_OPS_LISTEN=", "SVCAUTH_SHUTDOWN_DELAY=0s"}
	for word := range strings.FieldsSeq(o.env) {
		environ = with(environ, "SVCAUTH_"+word)
	}
	_, checked := config.Load(config.LoadOptions{Environ: environ, Check: app.CheckConfig})
	require.NoDirExists(t, filepath.Join(dir, "data"), "a check makes nothing")
	if o.want == "" {
		require.NoError(t, checked, o.env)
	} else {
		require.ErrorContains(t, checked, ": "+o.want, o.env)
		require.NotContains(t, checked.Error(), "s3cret", o.env)
		require.NotContains(t, checked.Error(), "\n", o.env)
	}
	started := startOnce(t, environ)
	require.Equal(t, checked != nil, started != nil, "%s: check said %v, a start %v", o.env, checked, started)
	if started != nil {
		require.NotContains(t, started.Error(), "s3cret", o.env)
	}
}

// with returns the environment with one variable set, in place of any value
// that it had.
func with(environ []string, set string) []string {
	name, _, _ := strings.Cut(set, "=")
	kept := slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, name+"=") })
	return append(kept, set)
}

// startOnce starts a server that stops at once, without asking the check.
func startOnce(t *testing.T, environ []string) error {
	t.Helper()
	cfg, err := config.Load(config.LoadOptions{Environ: environ})
	if err != nil {
		return err
	}
	a, err := app.New(t.Context(), cfg, app.Options{Version: "test", Log: io.Discard,
		Patience: app.Patience{Database: schema.Patience}})
	if err != nil {
		return err
	}
	defer a.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	return a.Run(ctx, func(net.Addr) { stop() })
}

// What config check passes, a start takes, and the other way round.
func TestConfigCheckAndStartAgree(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	here, err := os.Getwd()
	require.NoError(t, err)
	junk, empty, key := file("junk", "x"), file("empty", ""), file("key", strings.Repeat("k", 32))
	cert, certKey := certificateFiles(t, file)
	smtp, tls, sso := "SMTP_FROM=a@b.example SMTP_URL=", "ISSUER=https://a.example TLS_KEY_FILE=",
		"OIDC_CLIENT_ID=x OIDC_ISSUER="
	mutual := tls + certKey + " TLS_CERT_FILE=" + cert + " TLS_MTLS_URL=https://m.example TLS_MTLS_LISTEN="
	authority := certtest.New(t, "clients").File(t)
	client := file("client.pem", string(certtest.PEM(certtest.SelfSigned(t, nil).Leaf)))
	for _, o := range []odd{
		{"REDIS_URL=redis+sentinel://127.0.0.1:1", "redis.url: no name of a master"},
		{"REDIS_URL=redis+sentinel://127.0.0.1:1/main", ""},
		{"REDIS_URL=redis+sentinel://127.0.0.1:1,/main", "redis.url: a host is missing"},
		{"REDIS_URL=redis://127.0.0.1:1/zero", "redis.url: the database is not a number"},
		{"REDIS_URL=redis://127.0.0.1:1/0?x=1", "redis.url: nothing may follow ?"},
		{"REDIS_URL=redis+cluster://127.0.0.1:1/1", "redis.url: a Redis Cluster has no databases"},
		{"REDIS_URL=redis://:s3cret%zz@127.0.0.1:1", "redis.url: user or password is not percent-encoded"},
		{"REDIS_URL=rediss://:s3cret@127.0.0.1:1", ""},
		{"REDIS_URL=http://h", "redis.url: scheme is not known"},
		{"REDIS_URL=redis://h1,h2", "redis.url: more than one host"},
		{"REDIS_URL=redis://", "redis.url: a host is missing"},
		{"REDIS_URL=redis://:s3cret@", "redis.url: a host is missing"},
		{"REDIS_URL=redis://:s3cret@h:x", "redis.url: a host is missing"},
		{"DATABASE_URL=", "database.url: has a scheme that is not known"},
		{"DATABASE_URL=s3cret", "database.url: has a scheme that is not known"},
		{"DATABASE_URL=mysql://u:s3cret@h/x", "database.url: has a scheme that is not known"},
		{"DATABASE_URL=sqlite://", "database.url: names no file"},
		{"DATABASE_URL=sqlite://x.db?mode=ro", "database.url: has a ? after its file"},
		{"DATABASE_URL=sqlite://" + dir, "database.url: can't be used: open " + dir},
		{"DATABASE_URL=sqlite://" + junk + "/svcauth.db", "database.url: can't be used: "},
		{"DATABASE_URL=postgres://u:s3cret%zz@127.0.0.1/x", "database.url: can't be used: "},
		{"DATABASE_URL=postgres://127.0.0.1/x?sslmode=verify_full",
			"database.url: can't be used: failed to configure TLS (sslmode is invalid)"},
		{"DATABASE_URL=postgres://127.0.0.1/x?sslmode=verify-full&sslrootcert=/none", "database.url: can't be used: "},
		{"DATABASE_URL=postgres://127.0.0.1:p/x", "database.url: can't be used: "},
		{"DATABASE_URL=postgres://u:s3/cret@127.0.0.1/x", "database.url: has an @ after its host"},
		{"DATABASE_URL=postgres://u:5/s3cret?x@127.0.0.1/x", "database.url: can't be read; expected"},
		{"DATABASE_URL=postgres://127.0.0.1/x?gssencmode=disable", "database.url: has the option gssencmode"},
		{"DATABASE_URL=postgres://127.0.0.1/x?target_session_attrs=writable", "database.url: can't be used: "},
		{"MASTER_KEY_FILE=" + junk, "master_key_file: " + junk + " holds 1 bytes"},
		{"MASTER_KEY_FILE=" + dir, "master_key_file: "},
		{"MASTER_KEY_FILE=" + junk + "/key", "master_key_file: "},
		{"MASTER_KEY_FILE=" + key, ""},
		{"DATABASE_URL=postgres://127.0.0.1:1/x MASTER_KEY_FILE=data/none.key", "master_key_file: there is no file " +
			filepath.Join(here, "data/none.key") + ", and with PostgreSQL none is made"},
		{"MASTER_KEY_PREVIOUS_FILE=/none", "master_key_previous_file: can't read the file /none"},
		{"MASTER_KEY_PREVIOUS_FILE=" + junk, "master_key_previous_file: " + junk + " holds 1 bytes"},
		{"MASTER_KEY_PREVIOUS_FILE=" + key, ""},
		{"MASTER_KEY_PREVIOUS_FILE=" + key +
			" MASTER_KEY_FILE= MASTER_KEY=a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
			"master_key_previous_file: holds the same key"},
		{"CATALOG_FILE=/none", "can't read the catalogue"},
		{"CATALOG_FILE=/", "can't read the catalogue"},
		{"CATALOG_FILE=" + junk, "is not valid YAML"},
		{"CATALOG_FILE=" + empty, ""},
		{tls + certKey + " TLS_CERT_FILE=" + cert, ""},
		{tls + certKey + " TLS_CERT_FILE=/none", "tls.cert_file: and tls.key_file can't be used"},
		{tls + key + " TLS_CERT_FILE=" + cert, "tls.cert_file: and tls.key_file can't be used"},
		{tls + "/none TLS_CERT_FILE=" + cert, "tls.cert_file: and tls.key_file can't be used"},
		{mutual + "127.0.0.1:0 TLS_CLIENT_CA_FILE=" + authority, ""},
		{mutual + "203.0.113.1:8443", "tls.mtls_listen: can't be used"},
		{mutual + "127.0.0.1:0 TLS_CLIENT_CA_FILE=/none", "tls.client_ca_file: can't read the file /none"},
		{mutual + "127.0.0.1:0 TLS_CLIENT_CA_FILE=" + empty, "tls.client_ca_file: " + empty + " holds no certificate"},
		{mutual + "127.0.0.1:0 TLS_CLIENT_CA_FILE=" + certKey, "tls.client_ca_file: " + certKey + " holds a PEM block"},
		{mutual + "127.0.0.1:0 TLS_CLIENT_CA_FILE=" + client,
			"tls.client_ca_file: certificate 1 of " + client + " is no"},
		{sso + "https://id.example", ""},
		{sso + "https://id.example/", ""}, // as Auth0 has it
		{sso + "https://id.example OIDC_CLIENT_SECRET_FILE=/none",
			"oidc.client_secret_file: can't read the file /none"},
		{sso + "https://id.example OIDC_CA_FILE=" + junk, "oidc.ca_file: " + junk + " holds no certificate"},
		{sso + "https://id.example OIDC_CA_FILE=" + cert, ""},
		{smtp + "smtp://u:s3cret@h:587", ""},
		{smtp + "smtps://h/", ""},
		{smtp + "smtp://u:s3cret%zz@h", "smtp.url: can't be read"},
		{smtp + "smtp://u:s3/cret@h", "smtp.url: can't be read"},
		{smtp + "smtp://h:587/inbox", "smtp.url: has something after its host"},
		{smtp + "smtp://h?tls=no", "smtp.url: has something after its host"},
		{smtp + "smtp://h:0", "smtp.url: names a port"},
		{smtp + "http://s3cret", "smtp.url: has a scheme"},
		{smtp + "mail://h", "smtp.url: has a scheme"},
		{smtp + "smtp://", "smtp.url: can't be read"},
		{smtp + "smtp://h SMTP_CA_FILE=/none", "smtp.ca_file: can't read the file /none"},
		{"SMTP_URL=smtp://h:25", "smtp.from: is not a mail address"},
		{"SMTP_FROM=nobody SMTP_URL=smtp://h:25", "smtp.from: is not a mail address"},
		{"OTLP_ENDPOINT=http://127.0.0.1:1", ""},
		{"OTLP_ENDPOINT=https://127.0.0.1:1 OTLP_CA_FILE=" + cert, ""},
		{"OTLP_ENDPOINT=https://127.0.0.1:1 OTLP_CA_FILE=" + junk, "otlp.ca_file: " + junk + " holds no certificate"},
		{"OTLP_ENDPOINT=https://127.0.0.1:1 OTLP_CERT_FILE=" + cert, "otlp.cert_file: and otlp.key_file can't be used"},
		{"OTLP_ENDPOINT=http://127.0.0.1:1 OTLP_CA_FILE=" + cert, "otlp.endpoint: is an address without TLS"},
		{"REDIS_URL=rediss://127.0.0.1:1 REDIS_CA_FILE=" + cert, ""},
		{"REDIS_URL=rediss://127.0.0.1:1 REDIS_CA_FILE=/none", "redis.ca_file: can't read the file /none"},
		{"REDIS_URL=rediss://127.0.0.1:1 REDIS_KEY_FILE=" + key, "redis.cert_file: and redis.key_file can't be used"},
		{"REDIS_URL=redis://127.0.0.1:1 REDIS_CA_FILE=" + cert, "redis.url: is an address without TLS"},
		{"OTLP_ENDPOINT=http://127.0.0.1:1/p%zz", "otlp.endpoint: is not an address"},
		{"PASSWORDS_BLOCKLIST_FILE=/none", "passwords.blocklist_file: can't read the file /none"},
		{"PASSWORDS_BLOCKLIST_FILE=" + dir, "passwords.blocklist_file: can't read the file"},
		{"PASSWORDS_BLOCKLIST_FILE=" + empty, ""},
		{"LISTEN=127.0.0.1:0 OPS_LISTEN=192.0.2.1:1", "ops.listen: can't be used"},
		{"ISSUER=https://a.example LISTEN=192.0.2.1:0", "listen: can't be used"},
		{"LOG_FORMAT=logfmt", "log.format: is"},
	} {
		t.Run(o.env, func(t *testing.T) { checkAndStart(t, o) })
	}
}

// Each spelling of libpq leads to a real PostgreSQL; what that refuses, a
// rehearsal sees.
func TestConfigCheckAndStartAgreeOnPostgreSQL(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{})
	u, err := url.Parse(server.NewDatabase())
	require.NoError(t, err)
	out, err := server.Query("postgres", "SHOW unix_socket_directories")
	require.NoError(t, err)
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
	dir, user, name, port := strings.TrimSpace(out), u.User.String()+"@", u.Path, u.Port()
	for _, o := range []odd{
		{user + u.Host + name, ""},
		{user + u.Host + name + "?sslmode=verify_full",
			"database.url: can't be used: failed to configure TLS (sslmode is invalid)"},
		{user + u.Host + name + "?sslmode=disable&application_name=a%20b&connect_timeout=60", ""},
		{user + u.Host + name + "?channel_binding=prefer&options=-c%20statement_timeout%3D9s", ""},
		{user + name + "?host=" + dir + "&port=" + port, ""},
		{user + url.PathEscape(dir) + ":" + port + name, ""},
		{user + "127.0.0.1:1," + u.Host + name + "?target_session_attrs=read-write", ""},
		{user + u.Host + ",[::1]:" + port + name, ""},
	} {
		for _, scheme := range []string{"postgres://", "postgresql://"} {
			checkAndStart(t, odd{"MASTER_KEY_FILE=" + key + " DATABASE_URL=" + scheme + o.env, o.want})
		}
	}
	for _, c := range []struct{ url, refused, note string }{
		{user + u.Host + name, "", ""},
		{user + u.Host + "/nowhere", "database.url: ", ""},
		{u.User.Username() + ":s3cret@" + u.Host + name, "database.url: ", ""},
		{user + u.Host + name + "?no_such_setting=1", "database.url: ", ""},
		{user + "127.0.0.1:1" + name, "", away.Database},
	} {
		cfg := load(t, "SVCAUTH_DATABASE_URL=postgres://"+c.url, "SVCAUTH_MASTER_KEY_FILE="+key)
		r := app.Rehearse(t.Context(), cfg, builtIn(t, cfg))
		require.Contains(t, r.Note, c.note, c.url)
		if c.refused == "" {
			require.NoError(t, r.Refused, c.url)
			continue
		}
		require.ErrorContains(t, r.Refused, c.refused, c.url)
		require.NotContains(t, r.Refused.Error(), "s3cret")
	}
}

// Of a database that was in use, a rehearsal says what a start would.
func TestRehearsal(t *testing.T) {
	dir := t.TempDir()
	environ := []string{"SVCAUTH_DATABASE_URL=sqlite://" + filepath.Join(dir, "svcauth.db"),
		"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key"),
		"SVCAUTH_LISTEN=127.0.0.1:0", "SVCAUTH_OPS_LISTEN=", "SVCAUTH_SHUTDOWN_DELAY=0s"}
	cfg := load(t, environ...)
	a, err := app.New(t.Context(), cfg, app.Options{Version: "test", Log: io.Discard,
		Patience: app.Patience{Database: schema.Patience}})
	require.NoError(t, err)
	tenant, err := a.People.Bootstrap(t.Context(), people.NewTenant{AdminEmail: "admin@example.com"})
	require.NoError(t, err)
	_, err = a.Access.CreateRole(access.WithActor(t.Context(), access.System(tenant.Organization.ID)),
		svcauth.NewRole{Name: "Operator", Privileges: []string{"clusters:view"}})
	require.NoError(t, err)
	require.NoError(t, a.Close())

	catalog, key := filepath.Join(dir, "catalog.yaml"), filepath.Join(dir, "other.key")
	require.NoError(t, os.WriteFile(catalog, []byte("apis: []"), 0o600))
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
	for _, c := range []struct{ set, want string }{
		{"SVCAUTH_LOG_LEVEL=warn", ""},
		{"SVCAUTH_CATALOG_FILE=" + catalog,
			"catalog_file: The catalogue no longer has the privilege clusters:view, but 1 roles hold it (Operator)"},
		{"SVCAUTH_MASTER_KEY_FILE=" + key, "another master key"},
		{"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "none.key"), "a new one would open nothing"},
	} {
		changed := with(environ, c.set)
		cfg := load(t, changed...)
		r := app.Rehearse(t.Context(), cfg, builtIn(t, cfg))
		require.Empty(t, r.Note, c.set)
		started := startOnce(t, changed)
		if c.want == "" {
			require.NoError(t, r.Refused, c.set)
			require.NoError(t, started, c.set)
			continue
		}
		require.ErrorContains(t, r.Refused, c.want, c.set)
		require.Error(t, started, c.set)
	}
	require.NoFileExists(t, filepath.Join(dir, "none.key"), "a new key would open nothing, so none is made")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "svcauth.db"), []byte(strings.Repeat("no database ", 1000)),
		0o600))
	require.ErrorContains(t, app.Rehearse(t.Context(), cfg, builtIn(t, cfg)).Refused, "database.url: ")
	require.Error(t, startOnce(t, environ))
}

func load(t *testing.T, environ ...string) config.Config {
	t.Helper()
	cfg, err := config.Load(config.LoadOptions{Environ: environ})
	require.NoError(t, err)
	return cfg
}

func builtIn(t *testing.T, cfg config.Config) config.Catalog {
	t.Helper()
	catalog, err := config.LoadCatalog(cfg.CatalogFile, cfg.Issuer)
	require.NoError(t, err)
	return catalog
}

// certificateFiles returns a certificate and its key in files.
func certificateFiles(t *testing.T, file func(name, text string) string) (cert, key string) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	pair := server.TLS.Certificates[0]
	raw, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	return file("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))),
		file("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
}
