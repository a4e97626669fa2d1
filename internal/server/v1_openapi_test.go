package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// document is what of /openapi.json the table is made from.
type document struct {
	Paths map[string]map[string]struct {
		OperationID string                `json:"operationId"`
		Tags        []string              `json:"tags"`
		Summary     string                `json:"summary"`
		Security    []map[string][]string `json:"security"`
		RequestBody *struct {
			Content map[string]any `json:"content"`
		} `json:"requestBody"`
		Responses map[string]any `json:"responses"`
	} `json:"paths"`
}

// operation is one call of the document.
type operation struct {
	id, method, path, needs string
	hasBody                 bool
}

// operations returns the calls of /v1.
func operations(t *testing.T, s *svctest.Server) []operation {
	var doc document
	require.NoError(t, json.Unmarshal([]byte(s.Get("/openapi.json", "").Text), &doc))
	var all []operation
	for path, item := range doc.Paths {
		if !strings.HasPrefix(path, "/v1/") {
			continue // see oauth_document_test.go
		}
		for verb, op := range item {
			o := operation{id: op.OperationID, method: strings.ToUpper(verb), path: path,
				hasBody: op.RequestBody != nil}
			require.NotEmpty(t, op.OperationID, "%s %s", verb, path)
			require.NotEmpty(t, op.Summary, op.OperationID)
			require.Len(t, op.Tags, 1, op.OperationID)
			require.Contains(t, op.Responses, "401", op.OperationID)
			for _, scheme := range op.Security {
				for _, scopes := range scheme {
					o.needs += strings.Join(scopes, " ")
				}
			}
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// samples has a body for each call that takes one. It is valid and would change
// something. A call that is not here fails the test, so a new one can't be
// forgotten. {name} is replaced by an id of the organization under attack.
var samples = map[string]string{
	"createServiceAccount":     `{"name":"new","role_ids":["{role_id}"]}`,
	"updateServiceAccount":     `{"name":"renamed","disabled":true}`,
	"assignServiceAccountRole": `{}`, "createSecret": `{"description":"mine"}`,
	"updateSecret": `{"description":"mine"}`, "createApplicationKey": `{"description":"mine"}`,
	"createRole": `{"name":"new","privileges":["members:read"]}`, "updateRole": `{"name":"renamed","privileges":[]}`,
	"inviteMember":     `{"email":"new@example.com","first_name":"N","last_name":"E","role_ids":["{role_id}"]}`,
	"updateMember":     `{"first_name":"renamed","suspended":true}`,
	"assignMemberRole": `{}`, "updateOwnOrganization": `{"service_accounts_may_manage_access":false}`,
	"createOrganization": `{"name":"new","admin_email":"new@example.com"}`,
	"updateOrganization": `{"name":"renamed"}`, "explain": `{"client_id":"{sa}"}`,
	"listServiceAccounts": "", "getServiceAccount": "", "deleteServiceAccount": "", "listServiceAccountRoles": "",
	"unassignServiceAccountRole": "", "listTokens": "",
	"revokeToken": "", "revokeTokens": "", "listSecrets": "", "deleteSecret": "", "listApplicationKeys": "",
	"getApplicationKey": "", "deleteApplicationKey": "",
	"listRoles": "", "getRole": "", "deleteRole": "", "listMembers": "", "getMember": "", "deleteMember": "",
	"resetMember": "", "unassignMemberRole": "", "listMemberRoles": "",
	"listAPIs": "", "listPrivileges": "", "getOwnOrganization": "", "getSecretUsers": "",
	"listOrganizations": "", "getOrganization": "",
	"deleteOrganization": "", "listAuditEvents": "",
	"createCertificate": `{"san_dns":"mine.example"}`, "listCertificates": "", "getCertificate": "",
	"deleteCertificate": "",
	"getMe":             "", "listSigningKeys": "", "rotateSigningKeys": `{"algorithm":"ES256"}`, "revokeSigningKey": "",
	"listResourceServers":       "",
	"createFederatedCredential": `{"name":"new","issuer":"https://issuer.example","subject":"mine"}`,
	"updateFederatedCredential": `{"subject":"mine"}`,
	"testFederatedCredentials":  `{"claims":{"iss":"https://issuer.example"}}`,
	"listFederatedCredentials":  "", "getFederatedCredential": "", "deleteFederatedCredential": "",
	"createKey": `{"jwk":{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",` +
		`"y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}}`, // RFC 7517 appendix A.1
	"updateKey": `{"description":"mine"}`, "listKeys": "", "getKey": "", "deleteKey": "",
}

var lastUsed = regexp.MustCompile(`"last_used_at":("[^"]*"|null),?`)

// target is an organization full of things, and their ids by what a path calls
// them.
type target struct {
	s      *svctest.Server
	admin  *svcauth.Client
	ids    map[string]string
	client svcauth.ServiceAccount
	token  string
}

func newTarget(t *testing.T, s *svctest.Server) *target {
	v := &target{s: s, admin: s.Admin(), client: s.Account("victim", "clusters:view")}
	v.token = s.Token(v.client.ClientID, v.client.ClientSecret, "")
	var live svcauth.List[svcauth.LiveToken]
	require.Eventually(t, func() (there bool) {
		var err error
		live, err = v.admin.Tokens(t.Context(), v.client.ID, svcauth.ListOptions{})
		return err == nil && len(live.Items) == 1
	}, 30*time.Second, 20*time.Millisecond)
	federated, err := v.admin.CreateFederatedCredential(t.Context(), v.client.ID, svcauth.NewFederatedCredential{
		Name: "ci", Issuer: "https://issuer.example", Subject: "theirs",
	})
	require.NoError(t, err)
	member, key := join(t, s, v.admin, "victim@example.com", v.client.Roles[0].ID)
	keys, err := v.admin.SigningKeys(t.Context())
	require.NoError(t, err)
	certificate, err := v.admin.CreateCertificate(t.Context(), v.client.ID,
		svcauth.NewCertificate{SANDNS: "victim.example"})
	require.NoError(t, err)
	public, err := v.admin.CreateKey(t.Context(), v.client.ID, svcauth.NewKey{JWK: json.RawMessage(
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)}) // RFC 8037 appendix A.2
	require.NoError(t, err)
	v.ids = map[string]string{"keys": public.ID,
		"service-accounts": v.client.ID, "sa": v.client.ID, "secrets": v.client.Secrets[0].ID,
		"federated-credentials": federated.ID,
		"roles":                 v.client.Roles[0].ID, "role_id": v.client.Roles[0].ID,
		"tokens": live.Items[0].JTI, "members": member.ID, "application-keys": key.ID,
		"organizations": s.Tenant.Organization.ID, "signing-keys": keys.Items[0].KID,
		"certificates": certificate.ID}
	return v
}

// address fills a path with the target's ids, or with ids that belong to
// nobody.
func (v *target) address(t *testing.T, path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if strings.HasPrefix(segment, "{") {
			id, known := v.ids[segments[i-1]]
			require.True(t, known, "the table has no id for %s", path)
			segments[i] = id
		}
	}
	return strings.Join(segments, "/")
}

func (v *target) body(t *testing.T, o operation) string {
	body, known := samples[o.id]
	require.True(t, known, "the table has no sample for %s %s (%s)", o.method, o.path, o.id)
	require.Equal(t, o.hasBody, body != "", o.id)
	for name, id := range v.ids {
		body = strings.ReplaceAll(body, "{"+name+"}", id)
	}
	return body
}

// state is all that may not change, as text.
func (v *target) state(t *testing.T) string {
	ctx := t.Context()
	var out bytes.Buffer
	dump := func(things any, err error) {
		require.NoError(t, err)
		text, err := json.Marshal(things)
		require.NoError(t, err)
		out.Write(append(text, '\n'))
	}
	dump(v.admin.ServiceAccounts(ctx, svcauth.ListOptions{}))
	dump(v.admin.ServiceAccountRoles(ctx, v.client.ID, svcauth.ListOptions{}))
	dump(v.admin.Certificates(ctx, v.client.ID))
	dump(v.admin.Keys(ctx, v.client.ID))
	dump(v.admin.FederatedCredentials(ctx, v.client.ID))
	dump(v.admin.Members(ctx, svcauth.ListOptions{}))
	dump(v.admin.Roles(ctx, svcauth.ListOptions{}))
	dump(v.admin.Organizations(ctx, svcauth.ListOptions{}))
	dump(v.admin.SigningKeys(ctx))
	dump(v.admin.Me(ctx))
	require.True(t, v.s.Active(v.client.ClientID, v.client.ClientSecret, v.token), "the token died")
	return lastUsed.ReplaceAllString(out.String(), "")
}

func ask(t *testing.T, s *svctest.Server, method, path, bearer, body string, header ...string) svctest.Answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return s.Do(req)
}

// requireProblem checks what every error under /v1 has in common.
func requireProblem(t *testing.T, a svctest.Answer, status int, code string) {
	t.Helper()
	require.Equal(t, status, a.Status, a.Text)
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.Equal(t, code, a.JSON["code"], a.Text)
	require.Equal(t, "urn:svcauth:problem:"+code, a.JSON["type"])
	require.EqualValues(t, status, a.JSON["status"])
	require.NotEmpty(t, a.JSON["title"])
	require.NotEmpty(t, a.JSON["detail"])
	require.Equal(t, a.Header.Get("X-Request-Id"), a.JSON["request_id"])
	require.NotEmpty(t, a.JSON["request_id"])
}

// Every path and verb of the document, by whoever may not.
func TestEveryCallIsGuarded(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { everyCallIsGuarded(t, svctest.Options{}) })
	t.Run("PostgreSQL and Redis", func(t *testing.T) {
		everyCallIsGuarded(t, svctest.Options{Postgres: true, RedisURL: redistest.URL(t)})
	})
}

func everyCallIsGuarded(t *testing.T, opts svctest.Options) {
	// Each of the calls is refused some ten times, and a refused one counts as
	// ten.
	opts.Environ = append(opts.Environ, "SVCAUTH_LIMITS_MANAGEMENT_PER_SECOND=1000")
	s := svctest.New(t, opts)
	all := operations(t, s)
	require.Len(t, all, len(samples), "a sample is for no call")
	v := newTarget(t, s)
	powerless, other := s.Account("powerless"), s.NewTenant("other")
	weak := s.OwnToken(powerless.ClientID, powerless.ClientSecret)
	admin := s.OwnToken(s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret)
	stranger := s.OwnToken(other.ApplicationKey.ClientID, other.ApplicationKey.ClientSecret)
	before := v.state(t)
	documented := newAnswers(t, s)
	for _, o := range all {
		t.Run(o.method+" "+o.path, func(t *testing.T) {
			path, body := v.address(t, o.path), v.body(t, o)
			ask := func(t *testing.T, s *svctest.Server, method, path, bearer, body string) svctest.Answer {
				a := ask(t, s, method, path, bearer, body)
				documented.require(t, o, a)
				return a
			}

			bare := ask(t, s, o.method, path, "", body)
			requireProblem(t, bare, 401, svcauth.CodeUnauthenticated)
			require.Equal(t, `Bearer realm="svcauth"`, bare.Header.Get("WWW-Authenticate"),
				"RFC 6750 §3.1: no error code where no token came")
			bad := ask(t, s, o.method, path, weak[:len(weak)-8]+"AAAAAAAA", body)
			requireProblem(t, bad, 401, svcauth.CodeUnauthenticated)
			require.Contains(t, bad.Header.Get("WWW-Authenticate"), `error="invalid_token", error_description="`)
			wrong := ask(t, s, o.method, path, v.token, body) // good, but for another audience
			requireProblem(t, wrong, 401, svcauth.CodeUnauthenticated)

			if o.needs != "" {
				lacking := ask(t, s, o.method, path, weak, body)
				requireProblem(t, lacking, 403, svcauth.CodeMissingPrivileges)
				require.Equal(t, []any{o.needs}, lacking.JSON["missing_privileges"])
				require.Equal(t, fmt.Sprintf(`Bearer realm="svcauth", error="insufficient_scope", scope="%s"`, o.needs),
					lacking.Header.Get("WWW-Authenticate"))
			}
			if strings.Contains(o.path, "{") {
				foreign := ask(t, s, o.method, path, stranger, body)
				require.Contains(t, []int{403, 404}, foreign.Status, foreign.Text)
				requireProblem(t, foreign, foreign.Status, foreign.JSON["code"].(string))
				malformed := ask(t, s, o.method, strings.NewReplacer("{id}", "nothing'--", "{kid}", "a%00b", "{jti}",
					"a%00b", "{role_id}", "x", "{secret_id}", "x", "{key_id}", "x", "{fed_id}", "x",
					"{certificate_id}", "x").Replace(o.path), admin, body)
				requireProblem(t, malformed, 404, svcauth.CodeNotFound)
			}
			unknown := ask(t, s, o.method, path+"?nonsense=1", admin, body)
			requireProblem(t, unknown, 422, svcauth.CodeInvalid)
			requireProblem(t, ask(t, s, o.method, path+"?limit=%zz", admin, body), 400, svcauth.CodeMalformed)
			if o.method != http.MethodGet {
				requireProblem(t, ask(t, s, o.method, path, admin, strings.Repeat(" ", 64<<10+1)), 413,
					svcauth.CodeTooLarge)
			}
			if o.hasBody {
				refusesBodies(t, s, documented, o, path, body, admin)
			} else {
				requireProblem(t, ask(t, s, o.method, path, admin, `{"unexpected":1}`), 422, svcauth.CodeInvalid)
			}
		})
	}
	require.Equal(t, before, v.state(t), "something changed")
}

// refusesBodies sends what is no body of this call.
func refusesBodies(t *testing.T, s *svctest.Server, documented answers, o operation, path, body, admin string) {
	ask := func(t *testing.T, s *svctest.Server, method, path, bearer, body string, header ...string) svctest.Answer {
		a := ask(t, s, method, path, bearer, body, header...)
		documented.require(t, o, a)
		return a
	}
	for _, name := range []string{"zzz_unknown", "Name", "naMe", "description\u017f"} {
		a := ask(t, s, o.method, path, admin,
			fmt.Sprintf(`{"%s":1,%s`, name, strings.TrimPrefix(strings.Replace(body, "{}", "{ }", 1), "{")))
		if strings.HasSuffix(body, "{}") {
			a = ask(t, s, o.method, path, admin, fmt.Sprintf(`{"%s":1}`, name))
		}
		requireProblem(t, a, 422, svcauth.CodeInvalid)
		require.Equal(t, "body."+name, a.JSON["errors"].([]any)[0].(map[string]any)["location"])
	}
	for text, status := range map[string]int{
		`{`: 400, `{"a":1}{`: 400, `{"a":1,"a":2}`: 400, "{\"a\":\"\xff\"}": 400, `{"a":"\u0000"}`: 400,
		strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50): 400,
		`{"a":1e999}`: 400, `[]`: 422, `"text"`: 422, `null`: 422, `{"a":"` + strings.Repeat("x", 64<<10) + `"}`: 413,
	} {
		a := ask(t, s, o.method, path, admin, text)
		require.Equal(t, status, a.Status, "%.40s: %s", text, a.Text)
		requireProblem(t, a, status,
			map[int]string{400: svcauth.CodeMalformed, 413: svcauth.CodeTooLarge, 422: svcauth.CodeInvalid}[status])
	}
	for kind, encoding := range map[string]string{"text/plain": "", "application/json; charset=latin1": "",
		"application/json": "gzip"} {
		a := ask(t, s, o.method, path, admin, body, "Content-Type", kind, "Content-Encoding", encoding)
		if kind == "application/json" || encoding == "" {
			requireProblem(t, a, 415, svcauth.CodeUnsupportedMedia)
		}
	}
}
