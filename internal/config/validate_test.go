package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each line: variables (without SVCAUTH_), and the fault that they must give;
// empty: none.
func TestValidation(t *testing.T) {
	file := write(t, "x")
	proxied := "ISSUER=https://a.example "
	tls := proxied + "TLS_CERT_FILE=" + file + " TLS_KEY_FILE=" + file + " "
	hands := "TRUSTED_PROXIES=10.0.0.1 TLS_CLIENT_CERT_HEADER=Client-Cert"
	for _, c := range []struct{ env, want string }{
		{"ISSUER=https://auth.example.com", ""},
		{"ISSUER=https://auth.example.com/tenant", ""},
		{"ISSUER=https://auth.example.com/a/b-c_d.e~1", ""},
		{"ISSUER=https://auth.example.com/a%20b", "issuer: has a path that not everybody spells alike"},
		{"ISSUER=https://auth.example.com/a//b", "issuer: has a path that not everybody spells alike"},
		{"ISSUER=https://auth.example.com/a/../b", "issuer: has a part . or .. in its path"},
		{"ISSUER=https://auth.example.com/a;b", "issuer: has a path that not everybody spells alike"},
		{"ISSUER=https://auth.example.com/tenant TOKEN_ALIASES=/tenant/token",
			"token.aliases: holds \"/tenant/token\", which lies below"},
		{"ISSUER=https://auth.example.com/tenant TOKEN_ALIASES=/tenant", ""},
		{"ISSUER=http://127.9.9.9:81", ""},
		{"ISSUER=http://[::1]:8080", ""},
		{"ISSUER=http://localhost.example.com", "issuer: is http"},
		{"ISSUER=http://0.0.0.0:8080", "issuer: is http"},
		{"ISSUER=https://a.example/", "issuer: ends with a slash"},
		{"ISSUER=https://a.example?x", "issuer: has a query"},
		{"ISSUER=https://a.example#", "issuer: has a query or a fragment"},
		{"ISSUER=https://A.example", "issuer: has capitals"},
		{"ISSUER=HTTPS://a.example", "issuer: has capitals"},
		{"ISSUER=https://a.example:443", "issuer: names the port"},
		{"ISSUER=https://u:p@a.example", "issuer: holds a user name"},
		{"ISSUER=a.example", "issuer: is not an address"},
		{"ISSUER=", "issuer: is empty"},
		{"ISSUER=ftp://a.example", "issuer: is not an address"},
		{"ISSUER=https://:8080", "issuer: is not an address"},
		{"ISSUER=https://a.example:0", "issuer: names a port that no server has"},
		{"ISSUER=https://a.example:99999", "issuer: names a port that no server has"},
		{"ISSUER=https://a.example/" + strings.Repeat("a", 256), "issuer: has more than 256 characters"},
		{"LISTEN=0.0.0.0:8080", "listen: would serve clear HTTP"},
		{"LISTEN=:8080", "listen: would serve clear HTTP"},
		{"LISTEN=0.0.0.0:8080 ALLOW_INSECURE_LISTEN=true", ""},
		{"LISTEN=[::1]:0", ""},
		{"LISTEN=127.0.0.1", "listen: is \"127.0.0.1\"; expected an address and a port"},
		{"LISTEN=127.0.0.1:99999", "listen: is"},
		{proxied + "LISTEN=0.0.0.0:8080", ""},
		{proxied + "TLS_CERT_FILE=" + file, "tls.cert_file: and tls.key_file go together"},
		{proxied + "TLS_CERT_FILE=" + file + " TLS_KEY_FILE=" + file, ""},
		{"TLS_CERT_FILE=" + file + " TLS_KEY_FILE=" + file, "issuer: is http, but tls.cert_file is set"},
		{"TLS_MIN_VERSION=1.3", ""},
		{"TLS_MIN_VERSION=1.1", "tls.min_version: is \"1.1\"; expected one of [1.2 1.3]"},
		{tls + "TLS_MTLS_LISTEN=:8443 TLS_MTLS_URL=https://m.example TLS_CLIENT_CA_FILE=ca.pem", ""},
		{tls + "TLS_MTLS_LISTEN=:8443", "tls.mtls_url: is empty, but tls.mtls_listen is set"},
		{tls + "TLS_MTLS_LISTEN=8443 TLS_MTLS_URL=https://m.example", "tls.mtls_listen: is \"8443\"; expected"},
		{tls + "TLS_MTLS_LISTEN=127.0.0.1:8080 TLS_MTLS_URL=https://m.example",
			"tls.mtls_listen: is the same as listen"},
		{tls + "TLS_MTLS_LISTEN=127.0.0.1:9090 TLS_MTLS_URL=https://m.example",
			"tls.mtls_listen: is the same as listen or ops.listen"},
		{tls + "TLS_MTLS_LISTEN=:8443 TLS_MTLS_URL=http://127.0.0.1:8443", "tls.mtls_url: is not https"},
		{tls + "TLS_MTLS_LISTEN=:8443 TLS_MTLS_URL=https://m.example:65536", "tls.mtls_url: names a port"},
		{tls + "TLS_MTLS_LISTEN=:8443 TLS_MTLS_URL=https://m.example/", "tls.mtls_url: ends with a slash"},
		{tls + "TLS_MTLS_LISTEN=:8443 TLS_MTLS_URL=https://a.example", "tls.mtls_url: is the issuer itself"},
		{tls + "TLS_MTLS_LISTEN=:8443 TLS_MTLS_URL=https://m.example/auth", "tls.mtls_url: has another path"},
		{proxied + "TLS_MTLS_LISTEN=:8443 TLS_MTLS_URL=https://m.example",
			"tls.mtls_listen: is set, but tls.cert_file is empty"},
		{proxied + "TLS_MTLS_URL=https://m.example", "tls.mtls_url: is set, but neither"},
		{proxied + "TLS_CLIENT_CA_FILE=ca.pem", "tls.client_ca_file: is set, but neither"},
		{proxied + "TLS_CLIENT_CERT_HEADER=Client-Cert",
			"tls.client_cert_header: is set, but trusted_proxies is empty"},
		{proxied + hands, ""},
		{proxied + hands + " TLS_CLIENT_CERT_FORMAT=xfcc TLS_CLIENT_CA_FILE=x " +
			"TLS_CLIENT_CERT_VERIFIED_HEADER=X-SSL-Verify",
			""},
		{proxied + hands + " TLS_CLIENT_CERT_VERIFIED_HEADER=X-SSL-Verify", "tls.client_ca_file: is empty"},
		{proxied + hands + " TLS_CLIENT_CERT_FORMAT=pem", "tls.client_cert_format: is \"pem\"; expected one of"},
		{proxied + hands + " TLS_CLIENT_CERT_VERIFIED_HEADER=client-cert TLS_CLIENT_CA_FILE=x",
			"tls.client_cert_verified_header: is the same"},
		{"TLS_CLIENT_CERT_VERIFIED_HEADER=X-Verify", "tls.client_cert_verified_header: is set, but tls.client_cert_h"},
		{proxied + "TRUSTED_PROXIES=10.0.0.1 TLS_CLIENT_CERT_HEADER=x_cert",
			"tls.client_cert_header: is \"x_cert\"; expected the name"},
		{proxied + "TRUSTED_PROXIES=10.0.0.1 TLS_CLIENT_CERT_HEADER=cookie",
			"tls.client_cert_header: is \"cookie\", which means something else"},
		{"OPS_LISTEN=", ""},
		{"OPS_LISTEN=127.0.0.1:8080", "ops.listen: is the same as listen"},
		{"TOKEN_MAX_SIZE=1999", "token.max_size: is 1999; expected 0, or 2000 to 12288"},
		{"TOKEN_MAX_SIZE=12289", "token.max_size: is 12289"},
		{"CORS_ALLOWED_ORIGINS=*", "cors.allowed_origins: holds \"*\"; expected scheme and host"},
		{"CORS_ALLOWED_ORIGINS=https://docs.example.com/", "cors.allowed_origins: holds \"https://docs.example.com/\""},
		{"CORS_ALLOWED_ORIGINS=https://docs.example.com:65536", "cors.allowed_origins: names a port"},
		{"CORS_ALLOWED_ORIGINS=http://docs.example.com", "cors.allowed_origins: is http"},
		{"CORS_ALLOWED_ORIGINS=https://docs.example.com:443", "cors.allowed_origins: names the port"},
		{"TRUSTED_PROXIES=0.0.0.0/0", "trusted_proxies: holds 0.0.0.0/0, which is everybody"},
		{"TRUSTED_PROXIES=::/0", "trusted_proxies: holds ::/0"},
		{"TRUSTED_PROXIES=proxy", "trusted_proxies: \"proxy\" is not a network"},
		{"TRUSTED_PROXIES=10.0.0.0/8,,", "trusted_proxies: entry 2 is empty"},
		{"DATABASE_MAX_OPEN_CONNS=0", "database.max_open_conns: is 0; expected 1 to 1000"},
		{"MASTER_KEY_FILE=", "master_key_file: is empty and so is master_key"},
		{"MASTER_KEY=AAAA", "master_key: is not 32 bytes"},
		{"MASTER_KEY=" + strings.Repeat("A", 43) + "=", ""},
		{"MASTER_KEY=" + strings.Repeat("A", 43) + "= MASTER_KEY_FILE=x", "master_key: is set and master_key_file too"},
		{"MASTER_KEY_PREVIOUS_FILE=data/master.key", "master_key_previous_file: is the same file"},
		{"TOKEN_TTL=60s", ""}, {"TOKEN_TTL=24h", ""},
		{"TOKEN_TTL=59s", "token.ttl: is 59s; expected 1m to 24h"},
		{"TOKEN_TTL=24h1s", "token.ttl: is"},
		{"TOKEN_TTL=60500ms", "token.ttl: is not a number of whole seconds"},
		{"TOKEN_TTL=", "token.ttl: expected a duration"},
		{"TOKEN_SIGNING_ALGORITHM=EdDSA", ""},
		{"TOKEN_SIGNING_ALGORITHM=HS256", "token.signing_algorithm: is"},
		{"TOKEN_SIGNING_ALGORITHM=none", "token.signing_algorithm: is"},
		{"TOKEN_ALIASES=api", "token.aliases: holds \"api\""},
		{"TOKEN_ALIASES=/a/../oauth2/token", "token.aliases: holds"},
		{"TOKEN_ALIASES=/a/:b", "token.aliases: holds"}, {"TOKEN_ALIASES=/a/*b", "token.aliases: holds"},
		{"TOKEN_ALIASES=/v1/token", "token.aliases: holds \"/v1/token\", but the server serves /v1 itself"},
		{"TOKEN_ALIASES=/a,/a", "token.aliases: holds \"/a\" twice"},
		{"TOKEN_SCOPE_ALIASES=a:b", "token.scope_aliases: holds"},
		{"TOKEN_SERVE_STALE=0s", ""}, {"TOKEN_SERVE_STALE=2h", "token.serve_stale: is 2h"},
		{"TOKEN_SERVE_STALE=-1s", "token.serve_stale: is -1s"},
		{"KEYS_PUBLISH_BEFORE=1m", "keys.publish_before: is 1m, less than jwks.max_age (5m)"},
		{"KEYS_PUBLISH_BEFORE=720h", "keys.publish_before: is 720h, not less than keys.rotate_every"},
		{"KEYS_ROTATE_EVERY=1m KEYS_PUBLISH_BEFORE=30s JWKS_MAX_AGE=10s", "keys.rotate_every: is 1m"},
		{"JWKS_MAX_AGE=1s", "jwks.max_age: is 1s"},
		{"LIMITS_WRONG_SECRETS_PER_CLIENT=0", "limits.wrong_secrets_per_client: is 0"},
		{"LIMITS_WRONG_SECRETS_PER_CLIENT=201", "limits.wrong_secrets_per_address: is 200, less than"},
		{"LIMITS_MAX_INFLIGHT=1", "limits.max_inflight: is 1"},
		{"CACHE_CLIENTS=-1", "cache.clients: is -1"},
		{"LOG_LEVEL=trace", "log.level: is"},
		{"AUDIT_RETENTION=0s", ""}, {"AUDIT_RETENTION=1h", "audit.retention: is 1h"},
		{"CONSOLE_SESSION_IDLE=13h", "console.session_lifetime: is shorter"},
		{"CONSOLE_ENABLED=yes", "console.enabled: expected true or false"},
		{"OIDC_ISSUER=https://id.example OIDC_CLIENT_ID=x", ""},
		{"OIDC_ISSUER=https://id.example", "oidc.client_id: is empty"},
		{"OIDC_CLIENT_ID=x", "oidc.client_id: is set, but oidc.issuer is empty"},
		{"OIDC_ISSUER=https://id.example:0/ OIDC_CLIENT_ID=x", "oidc.issuer: names a port"},
		{"OIDC_ISSUER=https://id.example/a/../b OIDC_CLIENT_ID=x", "oidc.issuer: has a part . or .."},
		{"OIDC_ISSUER=http://id.example OIDC_CLIENT_ID=x", "oidc.issuer: is http"},
		{"SMTP_FROM=a@b.example", "smtp.from: is set, but smtp.url is empty"},
		{"OTLP_ENDPOINT=localhost:4318", "otlp.endpoint: is not an address"},
		{"OTLP_ENDPOINT=http://collector:4318", ""},
		{"OTLP_TRUST_PARENT=true", "otlp.trust_parent: is true, but trusted_proxies is empty"},
		{"SHUTDOWN_DELAY=1h", "shutdown_delay: is 1h"},
		{"SHUTDOWN_GRACE=1h", "shutdown_grace: is 1h"},
	} {
		var env []string
		for word := range strings.FieldsSeq(c.env) {
			env = append(env, "SVCAUTH_"+word)
		}
		_, err := Load(LoadOptions{Environ: env})
		if c.want == "" {
			require.NoError(t, err, c.env)
			continue
		}
		require.ErrorContains(t, err, ": "+c.want, c.env)
		require.NotContains(t, err.Error(), "\n", c.env) // one mistake, one line
	}
}

func TestWarnings(t *testing.T) {
	cfg, err := Load(LoadOptions{Environ: []string{"SVCAUTH_ISSUER=https://a.example", "SVCAUTH_LISTEN=:1",
		"SVCAUTH_OPS_LISTEN=:2", "SVCAUTH_CATALOG_ALLOW_REMOVAL=true"}})
	require.NoError(t, err)
	require.Len(t, cfg.Warnings(), 3)
	cfg, err = Load(LoadOptions{Environ: []string{"SVCAUTH_LISTEN=:1", "SVCAUTH_ALLOW_INSECURE_LISTEN=true"}})
	require.NoError(t, err)
	require.Len(t, cfg.Warnings(), 1)
}
