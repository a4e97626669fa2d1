package server_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/dbdump"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// watched is a server all of whose outputs are looked through.
type watched struct {
	protocol
	database, ops string
}

func newWatched(t *testing.T, database string, environ ...string) watched {
	ops := freeport.Address(t)
	w := watched{database: database, ops: ops}
	w.protocol = newProtocol(t, svctest.Options{DatabaseURL: database,
		Environ: append([]string{"SVCAUTH_OPS_LISTEN=" + ops, "SVCAUTH_LOG_LEVEL=debug"}, environ...)})
	return w
}

func (w watched) metrics(t *testing.T) string {
	t.Helper()
	return svctest.Metrics(t, w.ops, func(string) bool { return true })
}

// spellings are the ways in which a credential could be written down.
func spellings(id, secret string) []string {
	return []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte(id + ":" + secret)), url.QueryEscape(secret),
		fmt.Sprintf("%x", secret)}
}

// TestNoSecretLeaks sends credentials to every place where they belong and to
// those where they don't. It looks for them in the log, the metrics and all
// bytes of the database.
func TestNoSecretLeaks(t *testing.T) {
	for name, database := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db") },
		"postgres": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched(t, database(t))
			wrong, mine := svcauth.NewSecret(), svcauth.NewSecret()
			_, err := w.App.Access.CreateSecret(w.System(), w.id, svcauth.NewSecretRequest{ClientSecret: mine})
			require.NoError(t, err)
			_, err = w.App.Access.CreateSecret(w.System(), w.id, svcauth.NewSecretRequest{ClientSecret: mine + "x"})
			require.Error(t, err)
			key := w.Tenant.ApplicationKey
			admin := w.OwnToken(key.ClientID, key.ClientSecret)
			token := w.Token(w.id, svcauth.Secret(w.secret), "")
			lost := w.Token(w.id, mine, "")
			var all []string
			for _, s := range []string{w.secret, wrong.Reveal(), mine.Reveal(), key.ClientSecret.Reveal(),
				w.Tenant.AdminPassword.Reveal()} {
				all = append(all, spellings(w.id, s)...)
				all = append(all, spellings(key.ClientID, s)...)
			}
			for _, s := range []string{admin, token, lost} {
				parts := strings.Split(s, ".")
				all = append(all, s, parts[1], parts[2])
			}
			everywhere := func(s string) {
				bearer := []string{"Content-Type", formType, "Authorization", "Bearer " + s}
				for _, path := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect", "/api/1.0/token",
					"/v1/service-accounts", "/v1/me", "/nowhere"} {
					q := url.QueryEscape(s)
					for _, r := range []request{
						{"POST", path + "?client_secret=" + q, []string{"Content-Type", formType},
							"grant_type=client_credentials"},
						{"POST", path + "?grant_type=" + q + "&scope=" + q, []string{"Content-Type", formType}, ""},
						{"POST", path, []string{"Content-Type", formType}, "client_id=" + q + "&client_secret=" + q +
							"&token=" + q + "&grant_type=" + q},
						{"POST", path, []string{"Content-Type", formType, "Authorization", basicAuth(s, s)},
							"token=" + q + "&scope=" + q},
						{"POST", path, []string{"Content-Type", formType, "Authorization", basicAuth(w.id, w.secret)},
							"grant_type=client_credentials&scope=" + q + "&resource=" + q + "&token=" + q},
						{"POST", path, bearer, "token=" + q},
						{"GET", path + "?access_token=" + q, bearer, ""},
						{"GET", path + "/" + url.PathEscape(s), []string{"User-Agent", s, "X-Request-Id",
							s, "X-Forwarded-For", s, "Traceparent", s, "Referer", s}, ""},
						{"POST", path, []string{"Content-Type", "application/json", "Authorization", "Bearer " + admin},
							`{"name":` + fmt.Sprintf("%q", s) + `,"description":1}`},
					} {
						w.send(t, r)
					}
				}
			}
			for _, s := range []string{w.secret, wrong.Reveal(), mine.Reveal(), token,
				w.Tenant.AdminPassword.Reveal()} {
				everywhere(s)
			}
			require.Equal(t, 200, w.Post("/oauth2/revoke", w.id, mine, tokenForm(lost)).Status)
			log, metrics := w.Log(), w.metrics(t)
			w.Stop() // writes what is batched
			content := dbdump.Read(t, w.database)
			require.Contains(t, log, w.id)
			require.Contains(t, metrics, "svcauth_tokens_issued_total")
			require.Contains(t, content, w.id)
			for _, s := range all {
				require.False(t, strings.Contains(log, s), "a credential is in the log: %s", around(log, s))
				require.False(t, strings.Contains(metrics, s), "a credential is in the metrics")
				require.False(t, strings.Contains(content, s), "a credential is in the database: %s",
					around(content, s))
			}
		})
	}
}

func around(text, s string) string {
	i := strings.Index(text, s)
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("%q", text[max(0, i-200):min(len(text), i+200)])
}

// hostile is what tries to break out of a line, a terminal, a JSON string or a
// label.
var hostile = []string{"a\nb", "\r\n{\"level\":\"ERROR\"}", "\x1b[31mred\x1b[0m", `"quoted" \ back`, "\u2028\u202e",
	"\x9b2J", "ü🚀", "%0a%0d", strings.Repeat("A", 5000), "{{.}}${x}", "' OR 1=1 --", "\xff\xfe"}

// TestOneLogLineForEachRequest whatever is in it, and nothing answers 500.
func TestOneLogLineForEachRequest(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			w := newWatched(t, "sqlite://"+filepath.Join(t.TempDir(), "svcauth.db"), "SVCAUTH_LOG_FORMAT="+format,
				"SVCAUTH_LIMITS_WRONG_SECRETS_PER_CLIENT=10000", "SVCAUTH_LIMITS_WRONG_SECRETS_PER_ADDRESS=10000")
			before := strings.Count(w.Log(), "\n")
			sent := 0
			for _, h := range hostile {
				q := url.QueryEscape(h)
				for _, r := range []request{
					{"POST", "/oauth2/token", []string{"Content-Type", formType}, "grant_type=" + q + "&client_id=" +
						q + "&client_secret=" + q + "&scope=" + q},
					{"POST", "/oauth2/token", []string{"Content-Type", formType, "Authorization", basicAuth(q, q)},
						"grant_type=client_credentials"},
					{"POST", "/oauth2/token", []string{"Content-Type", formType, "Authorization",
						basicAuth(w.id, w.secret)}, "grant_type=client_credentials&scope=" + q},
					{"POST", "/oauth2/token", []string{"Content-Type", formType, "Authorization",
						basicAuth(w.id, w.secret)}, "grant_type=client_credentials&resource=" + q},
					{"POST", "/oauth2/introspect",
						[]string{"Content-Type", formType, "Authorization", basicAuth(w.id, w.secret)}, "token=" + q},
					{"POST", "/oauth2/token?" + q + "=" + q, []string{"Content-Type", formType}, ""},
					{"GET", "/" + url.PathEscape(h), nil, ""},
					{"GET", "/healthz?" + q, []string{"User-Agent", strings.Map(printable, h)}, ""},
				} {
					a := w.send(t, r)
					require.Less(t, a.Status, 500, "%+v", r)
					sent++
				}
			}
			log := w.Log()
			require.Equal(t, sent, strings.Count(log, "\n")-before, "one line a request")
			lines := bufio.NewScanner(strings.NewReader(log))
			for lines.Scan() {
				line := lines.Text()
				if format == "json" {
					var fields map[string]any
					require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
				}
				for _, r := range line {
					require.False(t, r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u202e', "%q", line)
				}
				require.Less(t, len(line), 4096)
			}
		})
	}
}

func printable(r rune) rune {
	if r < 0x20 || r == 0x7f || r == '\uFFFD' {
		return -1
	}
	return r
}

// TestNoStrangerMakesASeries: the number of time series depends on nothing that
// is sent.
func TestNoStrangerMakesASeries(t *testing.T) {
	w := newWatched(t, "sqlite://"+filepath.Join(t.TempDir(), "svcauth.db"))
	random := func() string { return fmt.Sprintf("x%d", rand.Int()) }
	methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	round := func() {
		for _, method := range append(methods, "M"+random()) {
			for _, path := range []string{"/" + random(), "/oauth2/" + random(), "/oauth2/token",
				"/v1/roles/" + random(), "/v1/" + random(), "/console/" + random(), "/.well-known/" + random()} {
				w.send(t, request{method, path, []string{"Content-Type", formType, "User-Agent", random(),
					"Authorization", basicAuth(random(), random())}, "grant_type=" + random() + "&scope=" + random()})
			}
		}
		w.Post("/oauth2/token", w.id, svcauth.Secret(w.secret), with("scope", random()))
		w.Post("/oauth2/token", w.id, svcauth.Secret(random()), grantForm)
	}
	series := func() (n int) {
		for line := range strings.SplitSeq(w.metrics(t), "\n") {
			if strings.HasPrefix(line, "svcauth_") {
				n++
			}
		}
		return n
	}
	for range 5 { // until wrong credentials are answered by 429 too
		round()
	}
	first := series()
	for range 5 {
		round()
	}
	require.Equal(t, first, series())
	require.NotContains(t, w.metrics(t), w.id)
}
