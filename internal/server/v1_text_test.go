package server_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/dbdump"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// writer sends texts to the management API and the OAuth2 endpoints, wherever
// they take some.
type writer struct {
	*svctest.Server
	t        *testing.T
	bearer   string
	database string
	account  svcauth.ServiceAccount
	role     svcauth.Role
}

func newWriter(t *testing.T) writer {
	w := writer{t: t, database: "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db")}
	w.Server = svctest.New(t, svctest.Options{DatabaseURL: w.database})
	key := w.Tenant.ApplicationKey
	answer := w.Post("/oauth2/token", key.ClientID, key.ClientSecret,
		url.Values{"grant_type": {"client_credentials"}, "resource": {w.Issuer}})
	w.bearer, _ = answer.JSON["access_token"].(string)
	require.NotEmpty(t, w.bearer, answer.Text)
	w.account = w.Account("ci", "clusters:view")
	var err error
	w.role, err = w.Admin().CreateRole(t.Context(), svcauth.NewRole{Name: "Some"})
	require.NoError(t, err)
	return w
}

// send puts TEXT, SA, SEC and ROLE into a path and a body.
func (w writer) send(method, path, body, text string) svctest.Answer {
	ids := strings.NewReplacer("SA", w.account.ID, "SEC", w.account.Secrets[0].ID, "ROLE", w.role.ID, "MEM",
		w.Tenant.AdminID)
	req, err := http.NewRequest(method, w.URL+strings.ReplaceAll(ids.Replace(path), "TEXT", url.QueryEscape(text)),
		strings.NewReader(strings.ReplaceAll(ids.Replace(body), "TEXT", text)))
	require.NoError(w.t, err)
	req.Header.Set("Authorization", "Bearer "+w.bearer)
	req.Header.Set("User-Agent", "test")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return w.Do(req)
}

// texts are the places that store or show what they are given.
var texts = [][3]string{
	{"POST", "/v1/service-accounts", `{"name":"TEXT"}`},
	{"POST", "/v1/service-accounts", `{"name":"x","description":"TEXT"}`},
	{"PATCH", "/v1/service-accounts/SA", `{"name":"TEXT"}`},
	{"PATCH", "/v1/service-accounts/SA", `{"description":"TEXT"}`},
	{"POST", "/v1/service-accounts/SA/secrets", `{"description":"TEXT"}`},
	{"PATCH", "/v1/service-accounts/SA/secrets/SEC", `{"description":"TEXT"}`},
	{"POST", "/v1/application-keys", `{"description":"TEXT"}`},
	{"POST", "/v1/roles", `{"name":"TEXT"}`}, {"POST", "/v1/roles", `{"name":"x","description":"TEXT"}`},
	{"PATCH", "/v1/roles/ROLE", `{"name":"TEXT"}`}, {"PATCH", "/v1/roles/ROLE", `{"description":"TEXT"}`},
	{"POST", "/v1/members", `{"email":"TEXT@example.com","first_name":"A","last_name":"B"}`},
	{"POST", "/v1/members", `{"email":"a@example.com","first_name":"TEXT","last_name":"B"}`},
	{"POST", "/v1/members", `{"email":"a@example.com","first_name":"A","last_name":"TEXT"}`},
	{"PATCH", "/v1/members/MEM", `{"first_name":"TEXT"}`},
	{"PATCH", "/v1/organization", `{"name":"TEXT"}`},
	{"POST", "/v1/organizations", `{"name":"TEXT","admin_email":"b@example.com"}`},
	{"POST", "/v1/organizations", `{"name":"other","admin_email":"TEXT@example.com"}`},
	{"GET", "/v1/service-accounts?name=TEXT", ""}, {"GET", "/v1/audit-events?actor=TEXT", ""},
	{"GET", "/v1/audit-events?target=TEXT", ""}, {"GET", "/v1/audit-events?action=TEXT", ""},
}

// places are those where an unknown text is refused anyway, but must not be
// kept or shown.
var places = [][3]string{
	{"POST", "/v1/signing-keys/TEXT/revoke", ""}, {"DELETE", "/v1/service-accounts/SA/tokens/TEXT", ""},
	{"GET", "/v1/service-accounts?cursor=TEXT", ""},
	{"GET", "/v1/service-accounts/TEXT", ""}, {"DELETE", "/v1/service-accounts/SA/secrets/TEXT", ""},
	{"PUT", "/v1/service-accounts/SA/roles/TEXT", ""}, {"GET", "/v1/TEXT", ""},
	{"POST", "/v1/service-accounts", `{"name":"y","role_ids":["TEXT"]}`},
	{"PATCH", "/v1/roles/ROLE", `{"privileges":["TEXT"]}`}, {"POST", "/v1/roles", `{"name":"z","TEXT":1}`},
}

// Who types a secret into a name, or into an address, is told to end it, and
// finds it nowhere: not in the answer, the log or the database.
func TestASecretTypedIntoATextIsNotKept(t *testing.T) {
	w := newWriter(t)
	secret := svcauth.NewSecret().Reveal()
	for _, c := range texts {
		answer := w.send(c[0], c[1], c[2], secret)
		require.Equal(t, 422, answer.Status, "%v %s", c, answer.Text)
		require.Contains(t, answer.Text, "end it now", "%v", c)
		require.NotContains(t, answer.Text, secret, "%v", c)
	}
	for _, c := range places {
		answer := w.send(c[0], c[1], c[2], secret)
		require.GreaterOrEqual(t, answer.Status, 400, "%v", c)
		require.Less(t, answer.Status, 500, "%v", c)
		require.NotContains(t, answer.Text, secret, "%v", c)
	}
	for _, form := range []url.Values{{"scope": {secret}}, {"resource": {"https://" + secret}}, {"audience": {secret}},
		{"grant_type": {secret}}} {
		if form.Get("grant_type") == "" {
			form.Set("grant_type", "client_credentials")
		}
		answer := w.Post("/oauth2/token", w.account.ClientID, w.account.ClientSecret, form)
		require.Equal(t, 400, answer.Status, answer.Text)
		require.NotContains(t, answer.Text, secret)
	}
	w.Post("/oauth2/token", secret, w.account.ClientSecret, url.Values{"grant_type": {"client_credentials"}})
	// A caller without the privilege is refused before its text is looked at,
	// and that refusal is written down.
	lesser := w.Account("lesser", svcauth.MembersRead)
	_, err := w.Client(lesser.ClientID, lesser.ClientSecret).CreateServiceAccount(t.Context(),
		svcauth.NewServiceAccount{Name: secret})
	require.Error(t, err)
	_, err = w.Admin().AuditEvents(t.Context(), svcauth.AuditFilter{}) // writes what was put aside
	require.NoError(t, err)
	stored := dbdump.Read(t, w.database)
	require.Contains(t, stored, "svcs_[redacted]", "the refusal is in the audit log")
	require.NotContains(t, stored, secret[:30])
	require.NotContains(t, w.Log(), secret[:30])
}

// Two names that look the same can't be two names.
func TestUnseenCharactersAreRefused(t *testing.T) {
	w := newWriter(t)
	for _, r := range []string{"\u200b", "\u202e", "\u2066", "\u00ad", "\U000e0041", "\u2028", "\u00a0", "\u0085"} {
		for _, c := range texts {
			answer := w.send(c[0], c[1], c[2], "a"+r+"b")
			require.Equal(t, 422, answer.Status, "%q %v %s", r, c, answer.Text)
			require.Contains(t, answer.Text, "U+", "%q %v", r, c)
			require.NotContains(t, answer.Text, r)
		}
	}
}

// What a stranger or a resource server says of itself is shown and written down
// without a secret that stands in it, and without half a one where it is cut.
func TestASecretInAHeaderIsNotKept(t *testing.T) {
	w := newWriter(t)
	secret := svcauth.NewSecret().Reveal()
	reader := w.Account("reader", svcauth.TokensIntrospect)
	bearer := w.Token(reader.ClientID, reader.ClientSecret, "")
	for _, pad := range []string{"", strings.Repeat("a", 30), strings.Repeat("b", 100), strings.Repeat("c", 220)} {
		text := pad + secret
		for _, path := range []string{"/oauth2/revocations", "/v1/roles", "/oauth2/introspect",
			"/nowhere", "/console"} {
			for _, authorization := range []string{"Bearer " + bearer, "Bearer " + secret, secret} {
				req, err := http.NewRequest("GET", w.URL+path, nil)
				require.NoError(t, err)
				for _, name := range []string{"User-Agent", "Svcauth-Resource-Server", "Svcauth-Audience",
					"Svcauth-Instance", "X-Request-Id", "X-Forwarded-For",
					"Referer", "Origin", "Traceparent", "Tracestate", "Cookie", "Last-Event-ID", "If-Match",
					"Accept-Language"} {
					req.Header.Set(name, text)
				}
				req.Header.Set("Svcauth-Interval", "1m") // which makes it one of the list
				req.Header.Set("Authorization", authorization)
				answer := w.Do(req)
				require.NotContains(t, answer.Text, secret[:20], path)
				for name := range answer.Header {
					require.NotContains(t, answer.Header.Get(name), secret[:20], "%s %s", path, name)
				}
			}
		}
		form := url.Values{"grant_type": {"client_credentials"}}
		req, err := http.NewRequest("POST", w.URL+"/oauth2/token", strings.NewReader(form.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("User-Agent", text)
		req.SetBasicAuth(w.account.ClientID, w.account.ClientSecret.Reveal())
		require.Equal(t, 200, w.Do(req).Status)
	}
	shown := w.send("GET", "/v1/resource-servers", "", "")
	require.Contains(t, shown.Text, "svcs_[redacted]")
	live := w.send("GET", "/v1/service-accounts/SA/tokens", "", "")
	require.Contains(t, live.Text, "svcs_[redacted]")
	for _, text := range []string{shown.Text, live.Text, dbdump.Read(t, w.database), w.Log()} {
		require.NotContains(t, text, secret[:20])
	}
}
