package config

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	defaults "github.com/svcauth/svcauth/config"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func faults(t *testing.T, opts LoadOptions) Faults {
	t.Helper()
	_, err := Load(opts)
	var f Faults
	require.ErrorAs(t, err, &f)
	return f
}

func TestDefaultsAreWhatTheContractSays(t *testing.T) {
	cfg, err := Load(LoadOptions{})
	require.NoError(t, err)
	require.Equal(t, "http://localhost:8080", cfg.Issuer)
	require.Equal(t, "127.0.0.1:8080", cfg.Listen)
	require.Equal(t, "127.0.0.1:9090", cfg.Ops.Listen)
	require.Equal(t, "sqlite://data/svcauth.db", cfg.Database.URL.Reveal())
	require.Empty(t, cfg.Redis.URL)
	require.Equal(t, "data/master.key", cfg.MasterKeyFile)
	require.Empty(t, cfg.CatalogFile)
	require.Equal(t, Token{TTL: time.Hour, SigningAlgorithm: "ES256", Aliases: []string{"/api/1.0/token"},
		ScopeAliases: []string{"all-apis"}, ServeStale: 5 * time.Minute, MaxSize: 7000}, cfg.Token)
	require.Empty(t, cfg.CORS.AllowedOrigins)
	require.Equal(t, 20, cfg.Limits.WrongSecretsPerClient)
	require.Equal(t, 200, cfg.Limits.WrongSecretsPerAddress)
	require.Equal(t, time.Minute, cfg.Limits.Window)
	require.True(t, cfg.Console.Enabled)
	require.Empty(t, cfg.Warnings())
}

func TestSampleFileIsTheDefaults(t *testing.T) {
	byDefault, err := Load(LoadOptions{})
	require.NoError(t, err)
	fromFile, err := Load(LoadOptions{File: write(t, string(defaults.Defaults))})
	require.NoError(t, err)
	require.Contains(t, fromFile.sources["issuer"], "c.yaml:")
	byDefault.sources, fromFile.sources = nil, nil
	require.Equal(t, byDefault, fromFile)
}

func TestEveryKeyIsInTheSampleAndHasItsOwnVariable(t *testing.T) {
	cfg, err := Load(LoadOptions{})
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, leaf := range leaves() {
		require.Equal(t, sourceDefault, cfg.sources[leaf.key], leaf.key)
		require.False(t, seen[leaf.env], leaf.env)
		require.False(t, foreign(leaf.env), leaf.env)
		seen[leaf.env] = true
	}
	require.Len(t, cfg.sources, len(seen))
	require.Len(t, cfg.Describe(), len(seen))
}

func TestProductionFileLoads(t *testing.T) {
	env := []string{"SVCAUTH_DATABASE_URL=postgres://u:pw@db:5432/x?sslmode=verify-full"}
	for _, key := range []string{"TLS_CERT_FILE", "TLS_KEY_FILE", "CATALOG_FILE"} { // the paths of a real host
		env = append(env, "SVCAUTH_"+key+"="+write(t, "x"))
	}
	cfg, err := Load(LoadOptions{File: "../../config/production.yaml", Environ: env})
	require.NoError(t, err)
	require.Equal(t, "https://auth.example.com", cfg.Issuer)
	require.Equal(t, "postgres://u:pw@db:5432/x?sslmode=verify-full", cfg.Database.URL.Reveal())
	require.Empty(t, cfg.Token.Aliases)
}

func TestOrderOfSources(t *testing.T) {
	file := write(t, "token:\n  ttl: 2h\n  serve_stale: 1m\nredis:\nlimits:\n  # nothing\n")
	cfg, err := Load(LoadOptions{Environ: []string{"SVCAUTH_CONFIG=" + file, "SVCAUTH_TOKEN_TTL=30m",
		"SVCAUTH_TOKEN_TTL=9m",
		"SVCAUTH_LIMITS_WRONG_SECRETS_PER_CLIENT=7", "SVCAUTH_TOKEN_SCOPE_ALIASES=a, b", "SVCAUTH_TOKEN_ALIASES=",
		"SVCAUTH_CONSOLE_ENABLED=false",
		"SVCAUTH_TRUSTED_PROXIES=10.0.0.0/8,192.0.2.7", "SVCAUTH_MAIL=x", "OTHER=1"}[:8]})
	require.NoError(t, err)
	require.Equal(t, 30*time.Minute, cfg.Token.TTL)
	require.Equal(t, time.Minute, cfg.Token.ServeStale)
	require.Equal(t, 7, cfg.Limits.WrongSecretsPerClient)
	require.Equal(t, []string{"a", "b"}, cfg.Token.ScopeAliases)
	require.Empty(t, cfg.Token.Aliases)
	require.False(t, cfg.Console.Enabled)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")},
		cfg.TrustedProxies)
	values := map[string]Entry{}
	for _, e := range cfg.Describe() {
		values[e.Key] = e
	}
	require.Equal(t, Entry{"token.ttl", "30m", "SVCAUTH_TOKEN_TTL"}, values["token.ttl"])
	require.Equal(t, Entry{"token.serve_stale", "1m", file + ":3"}, values["token.serve_stale"])
	require.Equal(t, Entry{"jwks.max_age", "5m", "default"}, values["jwks.max_age"])
	require.Equal(t, "10.0.0.0/8,192.0.2.7/32", values["trusted_proxies"].Value)
}

func TestAliasesAndMergesAreResolved(t *testing.T) {
	file := write(t, "redis: &trust\n  ca_file: a.pem\notlp:\n  <<: *trust\n  endpoint: https://otel.example\n")
	cfg, err := Load(LoadOptions{File: file})
	require.NoError(t, err)
	require.Equal(t, "a.pem", cfg.OTLP.CAFile)
	require.Equal(t, "https://otel.example", cfg.OTLP.Endpoint)
	require.Equal(t, file+":3", cfg.sources["otlp.ca_file"], "the line of its section")
}

func TestFlagWinsOverVariable(t *testing.T) {
	cfg, err := Load(LoadOptions{File: write(t, "log: {level: debug}"), Environ: []string{"SVCAUTH_CONFIG=/nowhere"}})
	require.NoError(t, err)
	require.Equal(t, "debug", cfg.Log.Level)
}

func TestAllFaultsAtOnceEachWithItsSource(t *testing.T) {
	file := write(t,
		"issuer: http://auth.example.com/\ntoken:\n  tll: 1h\n  ttl: 10\nlog: loud\nlimits:\n  window: [1m]\n")
	f := faults(t, LoadOptions{File: file,
		Environ: []string{"SVCAUTH_TOKEN_TLL=1h", "SVCAUTH_CACHE_CLIENTS=many", "SVCAUTH_LOG_FORMAT=xml"}})
	text := f.Error()
	for _, want := range []string{
		file + ":1: issuer: ends with a slash",
		file + ":1: issuer: is http, which",
		file + `:3: unknown key "token.tll"; did you mean token.ttl?`,
		file + ":4: token.ttl: expected a duration with its unit, such as 500ms, 30s, 5m or 12h, got a number",
		file + ":5: log: is a section",
		file + ":7: limits.window: expected a duration",
		"SVCAUTH_TOKEN_TLL: unknown environment variable; did you mean SVCAUTH_TOKEN_TTL?",
		`SVCAUTH_CACHE_CLIENTS: cache.clients: expected a whole number, got "many"`,
		`SVCAUTH_LOG_FORMAT: log.format: is "xml"; expected one of [json text]`,
	} {
		require.Contains(t, text, want)
	}
	require.Len(t, f, 9, text)
	require.Len(t, strings.Split(text, "\n"), 9)
}

func TestFileThatCannotBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"issuer: a\nissuer: b\n":             ":2: the key \"issuer\" is given twice",
		"- a\n":                              ":1: expected keys and values",
		"issuer: [\n":                        "is not valid YAML",
		"a: 1\n---\nb: 1\n":                  "more than one YAML document",
		"issuer: {deep: 1}\n":                `unknown key "issuer.deep"; issuer takes a value, not a section`,
		"ttl: 1h\n":                          "did you mean token.ttl?",
		"tls: {1: x}\n":                      `:1: unknown key "tls.1"`,
		strings.Repeat("#", maxFileBytes+10): "larger than",
	} {
		require.Contains(t, faults(t, LoadOptions{File: write(t, text)}).Error(), want, text[:min(20, len(text))])
	}
	require.Contains(t, faults(t, LoadOptions{File: "/no/such/file"}).Error(),
		"/no/such/file: can't read the configuration file: no such file")
	_, err := Load(LoadOptions{File: write(t, "# nothing but a comment\n")})
	require.NoError(t, err)
}

func TestVariablesOfOthersAreLeftAlone(t *testing.T) {
	env := []string{"SVCAUTH_TEST_X=1", "SVCAUTH_SERVICE_HOST=10.0.0.1", "SVCAUTH_SERVICE_PORT=80",
		"SVCAUTH_SERVICE_PORT_HTTP=80", "SVCAUTH_PORT=tcp://10.0.0.1:80",
		"SVCAUTH_PORT_80_TCP=x", "SVCAUTH_PORT_80_TCP_ADDR=x", "SVCAUTH_REDIS_SERVICE_HOST=x",
		"SVCAUTH_REDIS_PORT_6379_TCP_PROTO=tcp", "NOT_SVCAUTH=1"}
	for _, name := range clientNames {
		if name != envFile {
			env = append(env, name+"=x")
		}
	}
	_, err := Load(LoadOptions{Environ: env})
	require.NoError(t, err)
	require.Len(t, faults(t, LoadOptions{Environ: []string{"SVCAUTH_PORTS=1", "SVCAUTH_CLIENT=1", "SVCAUTH_=1"}}), 3)
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	const pw = "hunter2hunter2"
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	cfg, err := Load(LoadOptions{Environ: []string{"SVCAUTH_MASTER_KEY=" + key, "SVCAUTH_DATABASE_URL=postgres://u:" +
		pw + "@h/db?password=" + pw + "&sslmode=require",
		"SVCAUTH_REDIS_URL=redis+sentinel://:" + pw + "@a:1,b:2/m", "SVCAUTH_SMTP_URL=smtp://" + pw + "@mail:25",
		"SVCAUTH_SMTP_FROM=a@b.example"}})
	require.NoError(t, err)
	require.Equal(t, key, cfg.MasterKey.Reveal())
	shown := fmt.Sprint(cfg.Describe()) +
		fmt.Sprintf("%v %+v %#v %s %q", cfg, cfg, cfg, cfg.Redis.URL, cfg.Database.URL)
	require.NotContains(t, shown, pw)
	require.NotContains(t, shown, key)
	require.Contains(t, fmt.Sprint(cfg.Describe()), "postgres://u:[redacted]@h/db?password=[redacted]&sslmode=require")
	for _, bad := range [][]string{{"SVCAUTH_MASTER_KEY=" + pw},
		{"SVCAUTH_MASTER_KEY=" + key, "SVCAUTH_MASTER_KEY_FILE=x"},
		{"SVCAUTH_OTLP_ENDPOINT=http://u:" + pw + "@h"}} {
		require.NotContains(t, faults(t, LoadOptions{Environ: bad}).Error(), pw)
	}
	require.NotContains(t, faults(t, LoadOptions{File: write(t, "master_key: `"+pw+"\nx: *"+pw+"\n")}).Error(), pw)
	require.NotContains(t, faults(t, LoadOptions{File: write(t, "master_key: \""+pw+"\n")}).Error(), pw)
}

func TestURLRedaction(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"plain":                 "[redacted]",
		"sqlite://data/x.db":    "sqlite://data/x.db",
		"redis://pw@h:1":        "redis://[redacted]@h:1",
		"redis://u:p/w?x@h:1/0": "redis://u:[redacted]@h:1/0",
		"postgres://h/db?user=a&pass=b&PassWord=c&sslmode=x": "postgres://h/db" +
			"?user=a&pass=[redacted]&PassWord=[redacted]&sslmode=x",
	} {
		require.Equal(t, want, URL(in).String())
	}
}

func TestEveryLeafTypeIsDecoded(t *testing.T) {
	fields := reflect.ValueOf(&Config{}).Elem()
	for _, leaf := range leaves() {
		field := fields.FieldByIndex(leaf.index)
		err := decode(field.Addr().Interface(), struct{}{}, false)
		require.Error(t, err, leaf.key)
		require.NotContains(t, err.Error(), "the program can't read", leaf.key)
		require.NotEqual(t, reflect.Struct, field.Kind())
	}
}
