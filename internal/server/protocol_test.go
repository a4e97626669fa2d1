package server_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const tick = 20 * time.Millisecond // between two looks at what takes its time

const formType = "application/x-www-form-urlencoded"

// protocol is a server with one service account that may view and edit clusters
// and view bills.
type protocol struct {
	*svctest.Server
	id     string
	secret string
}

func newProtocol(t *testing.T, opts svctest.Options) protocol {
	s := svctest.New(t, opts)
	a := s.Account("ci", "clusters:view", "clusters:edit", "billing:view")
	return protocol{s, a.ClientID, a.ClientSecret.Reveal()}
}

func basicAuth(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// request is one HTTP request, which may be a bad one. header alternates names
// and values. A name may be repeated.
type request struct {
	method, path string
	header       []string
	body         string
}

func (p protocol) send(t *testing.T, r request) svctest.Answer {
	t.Helper()
	req, err := http.NewRequest(r.method, p.URL+r.path, strings.NewReader(r.body))
	require.NoError(t, err)
	for i := 0; i < len(r.header); i += 2 {
		req.Header.Add(r.header[i], r.header[i+1])
	}
	return p.Do(req)
}

// descriptionText is RFC 6749 §5.2: what may stand in error_description.
var descriptionText = regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`)

// lawful checks what holds for every answer of the OAuth2 endpoints, contract
// §2.1.
func (p protocol) lawful(t *testing.T, a svctest.Answer) {
	t.Helper()
	if a.Text == "" {
		require.NotContains(t, a.Header, "Content-Type", "where there is no body, it has no type")
	} else {
		require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	}
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.Equal(t, "no-cache", a.Header.Get("Pragma"))
	require.LessOrEqual(t, len(a.Header.Values("WWW-Authenticate")), 1)
	require.NotEmpty(t, a.Header.Get("X-Request-Id"))
	require.NotContains(t, a.Text, p.secret, "no answer repeats a secret")
	if a.Status >= 400 {
		code, _ := a.JSON["error"].(string)
		require.Regexp(t, `^[a-z_]+$`, code)
		require.Regexp(t, descriptionText, a.JSON["error_description"])
		require.Len(t, a.JSON, 2)
	}
	if a.Status != http.StatusUnauthorized {
		require.Empty(t, a.Header.Values("WWW-Authenticate"))
	}
}

func TestTokenRequestProtocol(t *testing.T) {
	p := newProtocol(t, svctest.Options{})
	const grant, token, alias = "grant_type=client_credentials", "/oauth2/token", "/api/1.0/token"
	auth := basicAuth(p.id, p.secret)
	body := grant + "&client_id=" + p.id + "&client_secret=" + p.secret
	escaped := ""
	for _, c := range []byte(p.secret) {
		escaped += "%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15]))
	}
	wrong := svcauth.NewSecret().Reveal()
	form := []string{"Content-Type", formType}
	with := func(more ...string) []string {
		return append([]string{"Content-Type", formType, "Authorization", auth}, more...)
	}
	type want struct {
		status int
		code   string // or the scope, where status is 200
	}
	all := "billing:view clusters:edit clusters:view"
	for name, c := range map[string]struct {
		request
		want
	}{
		"RFC 6749 §2.3.1 Basic":                   {request{"POST", token, with(), grant}, want{200, all}},
		"RFC 6749 §2.3.1 credentials in the body": {request{"POST", token, form, body}, want{200, all}},
		"RFC 6749 §2.3.1 Basic parts form-urlencoded": {request{"POST", token, []string{"Content-Type", formType,
			"Authorization", basicAuth(strings.ReplaceAll(p.id, "_", "%5F"), escaped)}, grant}, want{200, all}},
		"RFC 6749 §2.3.1 body parts form-urlencoded": {request{"POST", token, form,
			grant + "&client_id=" + strings.ReplaceAll(p.id, "_", "%5f") + "&client_secret=" + escaped},
			want{200, all}},
		"RFC 7617 §2 the scheme in any case": {request{"POST", token,
			[]string{"Content-Type", formType, "Authorization", "bASIC" + auth[5:]}, grant}, want{200, all}},
		"RFC 6749 §2.3.1 the same client_id beside Basic": {request{"POST", token, with(),
			grant + "&client_id=" + p.id}, want{200, all}},
		"another client_id beside Basic": {request{"POST", token, with(),
			grant + "&client_id=sa_x"}, want{400, "invalid_request"}},
		"RFC 6749 §2.3 Basic and body at once": {request{"POST", token, with(), body},
			want{400, "invalid_request"}},
		"RFC 6749 §2.3 Basic and an assertion": {request{"POST", token, with(),
			grant + "&client_assertion=x"}, want{400, "invalid_request"}},
		"RFC 6749 §3.2 an empty client_secret is none": {request{"POST", token, with(),
			grant + "&client_secret="}, want{200, all}},
		"two Authorization headers": {request{"POST", token, with("Authorization", auth),
			grant}, want{400, "invalid_request"}},
		"RFC 6749 §5.2 wrong secret": {request{"POST", token,
			[]string{"Content-Type", formType, "Authorization", basicAuth(p.id, wrong)}, grant},
			want{401, "invalid_client"}},
		"RFC 6749 §5.2 empty secret": {request{"POST", token,
			[]string{"Content-Type", formType, "Authorization", basicAuth(p.id, "")}, grant},
			want{401, "invalid_client"}},
		"RFC 6749 §5.2 empty id": {request{"POST", token,
			[]string{"Content-Type", formType, "Authorization", basicAuth("", p.secret)}, grant},
			want{401, "invalid_client"}},
		"RFC 6749 §5.2 no credential": {request{"POST", token, form, grant},
			want{401, "invalid_client"}},
		"RFC 6749 §5.2 an id alone": {request{"POST", token, form,
			grant + "&client_id=" + p.id}, want{401, "invalid_client"}},
		"Basic without base64": {request{"POST", token,
			[]string{"Content-Type", formType, "Authorization", "Basic !!!"}, grant}, want{401, "invalid_client"}},
		"Basic without a colon": {request{"POST", token, []string{"Content-Type", formType,
			"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("abc"))}, grant},
			want{401, "invalid_client"}},
		"Basic with a broken escape": {request{"POST", token,
			[]string{"Content-Type", formType, "Authorization", basicAuth(p.id, "%zz")}, grant},
			want{401, "invalid_client"}},
		"Basic with NUL": {request{"POST", token,
			[]string{"Content-Type", formType, "Authorization", basicAuth(p.id, "a%00b")}, grant},
			want{401, "invalid_client"}},
		"Basic of 5,000 bytes": {request{"POST", token, []string{"Content-Type", formType,
			"Authorization", basicAuth(p.id, strings.Repeat("a", 5000))}, grant}, want{401, "invalid_client"}},
		"Bearer at the token endpoint": {request{"POST", token,
			[]string{"Content-Type", formType, "Authorization", "Bearer abc"}, grant}, want{401, "invalid_client"}},
		"an empty Authorization header": {request{"POST", token,
			[]string{"Content-Type", formType, "Authorization", ""}, grant}, want{401, "invalid_client"}},
		"RFC 6749 §3.2 a repeated parameter": {request{"POST", token, with(),
			grant + "&scope=clusters%3Aview&scope=clusters%3Aview"}, want{400, "invalid_request"}},
		"RFC 6749 §3.2 grant_type repeated": {request{"POST", token, with(), grant + "&" + grant},
			want{400, "invalid_request"}},
		"RFC 6749 §3.2 client_secret repeated": {request{"POST", token, form,
			body + "&client_secret=" + p.secret}, want{400, "invalid_request"}},
		"RFC 6749 §3.2 an unknown parameter repeated": {request{"POST", token, with(), grant + "&x=1&x=2"},
			want{400, "invalid_request"}},
		"RFC 6749 §3.2 unknown parameters are ignored": {request{"POST", token, with(),
			grant + "&x=1&foo%5B%5D=%C3%BC&client_name=a+b"}, want{200, all}},
		"RFC 6749 §3.2 empty is absent": {request{"POST", token, with(),
			grant + "&scope=&resource=&audience="}, want{200, all}},
		"empty pairs": {request{"POST", token, with(), "&&" + grant + "&"},
			want{200, all}},
		"RFC 6749 §2.3.1 a secret in the URL": {request{"POST", token + "?client_id=" + p.id +
			"&client_secret=" + wrong, form, grant}, want{400, "invalid_request"}},
		"RFC 6749 §3.2 the grant in the URL": {request{"POST", token + "?" + grant, with(), ""},
			want{400, "invalid_request"}},
		"RFC 6749 §3.2 anything in the URL": {request{"POST", token + "?x=1", with(), grant},
			want{400, "invalid_request"}},
		"a bare question mark": {request{"POST", token + "?", with(), grant},
			want{200, all}},
		"RFC 9110 §15.5.16 JSON": {request{"POST", token, []string{"Content-Type",
			"application/json", "Authorization", auth}, `{"grant_type":"client_credentials"}`},
			want{415, "invalid_request"}},
		"multipart": {request{"POST", token, []string{"Content-Type",
			"multipart/form-data; boundary=x", "Authorization", auth}, "--x\r\n"}, want{415, "invalid_request"}},
		"text/plain": {request{"POST", token,
			[]string{"Content-Type", "text/plain", "Authorization", auth}, grant}, want{415, "invalid_request"}},
		"no media type": {request{"POST", token, []string{"Authorization", auth},
			grant}, want{415, "invalid_request"}},
		"two media types": {request{"POST", token, with("Content-Type", formType),
			grant}, want{415, "invalid_request"}},
		"the media type with a parameter": {request{"POST", token,
			[]string{"Content-Type", "application/x-www-form-urlencoded; charset=UTF-8", "Authorization", auth}, grant},
			want{200, all}},
		"the media type in capitals": {request{"POST", token,
			[]string{"Content-Type", "Application/X-WWW-Form-URLEncoded", "Authorization", auth}, grant},
			want{200, all}},
		"a compressed body": {request{"POST", token, with("Content-Encoding", "gzip"),
			grant}, want{415, "invalid_request"}},
		"exactly 16 KiB": {request{"POST", token, with(),
			grant + "&x=" + strings.Repeat("a", 16<<10-len(grant)-3)}, want{200, all}},
		"RFC 9110 §15.5.14 one byte more": {request{"POST", token, with(),
			grant + "&x=" + strings.Repeat("a", 16<<10-len(grant)-2)}, want{413, "invalid_request"}},
		"a broken escape": {request{"POST", token, with(), grant + "&scope=%zz"},
			want{400, "invalid_request"}},
		"a cut escape": {request{"POST", token, with(), grant + "&scope=%4"},
			want{400, "invalid_request"}},
		"a broken escape in a name": {request{"POST", token, with(), grant + "&%=1"},
			want{400, "invalid_request"}},
		"NUL": {request{"POST", token, with(), grant + "&scope=a%00b"},
			want{400, "invalid_request"}},
		"no UTF-8": {request{"POST", token, with(), grant + "&scope=%ff"},
			want{400, "invalid_request"}},
		"a semicolon separates nothing": {request{"POST", token, with(), grant + ";scope=x"},
			want{400, "unsupported_grant_type"}},
		"RFC 6749 §5.2 no grant_type": {request{"POST", token, with(), ""},
			want{400, "invalid_request"}},
		"RFC 6749 §4.4.3 refresh_token": {request{"POST", token, with(),
			"grant_type=refresh_token&refresh_token=x"}, want{400, "unsupported_grant_type"}},
		"RFC 9700 §2.4 password": {request{"POST", token, with(),
			"grant_type=password&username=a&password=b"}, want{400, "unsupported_grant_type"}},
		"RFC 6749 §5.2 authorization_code": {request{"POST", token, with(),
			"grant_type=authorization_code&code=x"}, want{400, "unsupported_grant_type"}},
		"RFC 7523 jwt-bearer": {request{"POST", token, with(),
			"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=x"},
			want{400, "unsupported_grant_type"}},
		"grant_type in other case": {request{"POST", token, with(),
			"grant_type=Client_Credentials"}, want{400, "unsupported_grant_type"}},
		"authentication comes before the grant": {request{"POST", token, []string{"Content-Type", formType,
			"Authorization", basicAuth(p.id, wrong)}, "grant_type=password&scope=nonsense"},
			want{401, "invalid_client"}},
		"RFC 6749 §3.3 one scope": {request{"POST", token, with(),
			grant + "&scope=clusters:view"}, want{200, "clusters:view"}},
		"RFC 6749 §3.3 scopes in any order, twice": {request{"POST", token, with(),
			grant + "&scope=clusters:view+billing:view+clusters:view"}, want{200, "billing:view clusters:view"}},
		"RFC 6749 §3.3 not granted": {request{"POST", token, with(),
			grant + "&scope=clusters:view+clusters:release"}, want{400, "invalid_scope"}},
		"RFC 6749 §3.3 unknown": {request{"POST", token, with(), grant + "&scope=no:such"},
			want{400, "invalid_scope"}},
		"RFC 6749 §3.3 two spaces": {request{"POST", token, with(),
			grant + "&scope=clusters:view++billing:view"}, want{400, "invalid_scope"}},
		"RFC 6749 §3.3 a space before": {request{"POST", token, with(),
			grant + "&scope=+clusters:view"}, want{400, "invalid_scope"}},
		"RFC 6749 §3.3 a quote": {request{"POST", token, with(), grant + "&scope=%22"},
			want{400, "invalid_scope"}},
		"RFC 6749 §3.3 a backslash": {request{"POST", token, with(), grant + "&scope=%5c"},
			want{400, "invalid_scope"}},
		"RFC 6749 §3.3 not ASCII": {request{"POST", token, with(), grant + "&scope=%C3%BC"},
			want{400, "invalid_scope"}},
		"a scope of 9,000 bytes": {request{"POST", token, with(),
			grant + "&scope=" + strings.Repeat("a", 9000)}, want{400, "invalid_scope"}},
		"in other case": {request{"POST", token, with(),
			grant + "&scope=Clusters:view"}, want{400, "invalid_scope"}},
		"the alias for all": {request{"POST", token, with(),
			grant + "&scope=all-apis"}, want{200, all}},
		"the alias among others": {request{"POST", token, with(),
			grant + "&scope=clusters:view+all-apis"}, want{200, all}},
		"RFC 8707 §2 one resource": {request{"POST", token, with(),
			grant + "&resource=https://billing.cloud.example"}, want{200, "billing:view"}},
		"RFC 8707 §2 resource may be repeated": {request{"POST", token, with(),
			grant + "&resource=https://billing.cloud.example&resource=https://api.cloud.example"}, want{200, all}},
		"audience": {request{"POST", token, with(), grant + "&audience=https://billing.cloud.example"},
			want{200, "billing:view"}},
		"audience twice": {request{"POST", token, with(),
			grant + "&audience=https://billing.cloud.example&audience=https://api.cloud.example"},
			want{400, "invalid_request"}},
		"audience and resource": {request{"POST", token, with(),
			grant + "&audience=https://billing.cloud.example&resource=https://api.cloud.example"}, want{200, all}},
		"RFC 8707 §2 the alias within a resource": {request{"POST", token, with(),
			grant + "&scope=all-apis&resource=https://billing.cloud.example"}, want{200, "billing:view"}},
		"RFC 8707 §2 scope of another resource": {request{"POST", token, with(),
			grant + "&scope=clusters:view&resource=https://billing.cloud.example"}, want{400, "invalid_scope"}},
		"RFC 8707 §2 unknown": {request{"POST", token, with(),
			grant + "&resource=https://nobody.example"}, want{400, "invalid_target"}},
		"RFC 8707 §2 one of two unknown": {request{"POST", token, with(),
			grant + "&resource=https://api.cloud.example&resource=https://nobody.example"},
			want{400, "invalid_target"}},
		"RFC 8707 §2 with a fragment": {request{"POST", token, with(),
			grant + "&resource=https://api.cloud.example%23x"}, want{400, "invalid_target"}},
		"RFC 8707 §2 relative": {request{"POST", token, with(),
			grant + "&resource=/clusters"}, want{400, "invalid_target"}},
		"RFC 8707 §2 a slash more": {request{"POST", token, with(),
			grant + "&resource=https://api.cloud.example/"}, want{400, "invalid_target"}},
		"RFC 8707 §2 21 resources": {request{"POST", token, with(),
			grant + strings.Repeat("&resource=https://api.cloud.example", 21)}, want{400, "invalid_target"}},
		"RFC 6749 §3.2 GET": {request{"GET", token, with(), ""},
			want{405, "invalid_request"}},
		"RFC 6749 §3.2 PUT": {request{"PUT", token, with(), grant},
			want{405, "invalid_request"}},
		"RFC 6749 §3.2 OPTIONS": {request{"OPTIONS", token, nil, ""},
			want{405, "invalid_request"}},
		"an unknown method": {request{"BREW", token, with(), grant},
			want{405, "invalid_request"}},
		"a slash at the end": {request{"POST", token + "/", with(), grant},
			want{404, "not_found"}},
		"another case of the path": {request{"POST", "/OAuth2/Token", with(), grant},
			want{404, "not_found"}},
		"alias: with a body": {request{"POST", alias, with(), grant}, want{200, all}},
		"alias: all in the query, no body, no media type": {request{"POST", alias + "?" + grant + "&scope=all-apis",
			[]string{"Authorization", auth}, ""}, want{200, all}},
		"alias: grant in the query, credential in the body": {request{"POST", alias + "?" + grant, form,
			"client_id=" + p.id + "&client_secret=" + p.secret}, want{200, all}},
		"alias: grant in the query and in the body": {request{"POST", alias + "?" + grant, with(), grant},
			want{200, all}},
		"alias: twice in the body beside the query": {request{"POST", alias + "?" + grant, with(),
			grant + "&" + grant}, want{400, "invalid_request"}},
		"alias: another scope in the body than in the query": {request{"POST",
			alias + "?" + grant + "&scope=clusters:view", with(), "scope=clusters:edit"}, want{400, "invalid_request"}},
		"alias: no body, of type JSON": {request{"POST", alias + "?" + grant + "&scope=all-apis",
			[]string{"Authorization", auth, "Content-Type", "application/json"}, ""}, want{200, all}},
		"alias: no body, of two types": {request{"POST", alias + "?" + grant,
			[]string{"Authorization", auth, "Content-Type", "text/plain", "Content-Type", "x"}, ""}, want{200, all}},
		"alias: a JSON body": {request{"POST", alias + "?" + grant,
			[]string{"Authorization", auth, "Content-Type", "application/json"}, "{}"}, want{415, "invalid_request"}},
		"alias: scope[] in the query": {request{"POST", alias + "?" + grant + "&scope[]=clusters:view",
			with(), ""}, want{400, "invalid_request"}},
		"a list of scopes, as axios writes it": {request{"POST", token, with(), grant + "&scope[]=clusters:view"},
			want{400, "invalid_request"}},
		"a list of scopes, escaped": {request{"POST", token, with(),
			grant + "&scope%5B%5D=clusters:view"}, want{400, "invalid_request"}},
		"a list of scopes, as PHP writes it": {request{"POST", token, with(), grant + "&scope[0]=clusters:view"},
			want{400, "invalid_request"}},
		"a list of scopes, with dots": {request{"POST", token, with(),
			grant + "&scope.0=clusters:view&scope.1=clusters:edit"}, want{400, "invalid_request"}},
		"a list of resources, with dots": {request{"POST", token, with(),
			grant + "&resource.0=https://api.cloud.example"}, want{400, "invalid_request"}},
		"an unknown list, with dots": {request{"POST", token, with(), grant + "&x.0=1"}, want{200, all}},
		"a list of resources": {request{"POST", token, with(),
			grant + "&resource[]=https://api.cloud.example"}, want{400, "invalid_request"}},
		"a list of credentials": {request{"POST", token, with(), grant + "&client_id[]=x"},
			want{400, "invalid_request"}},
		"an unknown list": {request{"POST", token, with(), grant + "&x[]=1"}, want{200, all}},
		"a body that ends in a line break": {request{"POST", token, form, body + "\n"},
			want{400, "invalid_request"}},
		"Basic wrapped as base64 does": {request{"POST", token,
			append([]string{"Authorization", auth[:60] + " " + auth[60:]}, form...), grant},
			want{401, "invalid_client"}},
		"Basic with a line break at its end": {request{"POST", token,
			append([]string{"Authorization", basicAuth(p.id, p.secret+"\n")}, form...), grant},
			want{401, "invalid_client"}},
		"alias: a secret in the query": {request{"POST", alias + "?" + grant + "&client_id=" + p.id +
			"&client_secret=" + wrong, nil, ""}, want{400, "invalid_request"}},
		"alias: a resource in the query": {request{"POST",
			alias + "?" + grant + "&resource=https://api.cloud.example", with(), ""}, want{400, "invalid_request"}},
		"alias: an unknown parameter in the query": {request{"POST", alias + "?" + grant + "&x=1", with(), ""},
			want{400, "invalid_request"}},
		"alias: scope repeated in the query": {request{"POST", alias + "?" + grant + "&scope=a&scope=b", with(), ""},
			want{400, "invalid_request"}},
		"alias: a body without a media type": {request{"POST", alias, []string{"Authorization", auth}, grant},
			want{415, "invalid_request"}},
		"alias: GET":           {request{"GET", alias + "?" + grant, with(), ""}, want{405, "invalid_request"}},
		"alias: no credential": {request{"POST", alias + "?" + grant, nil, ""}, want{401, "invalid_client"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.send(t, c.request)
			p.lawful(t, a)
			require.Equal(t, c.status, a.Status, a.Text)
			if c.status == 200 {
				require.Equal(t, c.code, a.JSON["scope"])
				require.Equal(t, "Bearer", a.JSON["token_type"])
				require.EqualValues(t, 3600, a.JSON["expires_in"])
				require.Len(t, a.JSON, 4, "RFC 6749 §4.4.3: no refresh token")
				return
			}
			require.Equal(t, c.code, a.JSON["error"])
			for part, says := range map[string]string{"a list of scopes": "scope=a b",
				"a list of resources": "without brackets", "line break": "line break", "wrapped": "base64 -w0"} {
				if strings.Contains(name, part) {
					require.Contains(t, a.JSON["error_description"], says)
				}
			}
			if c.status == 405 {
				require.Equal(t, "POST", a.Header.Get("Allow"))
			}
			challenge := ""
			if c.status == 401 { // RFC 9110 §15.5.2, a secret in the body too
				challenge = `Basic realm="svcauth"`
			}
			require.Equal(t, challenge, a.Header.Get("WWW-Authenticate"))
		})
	}
	require.NotContains(t, p.Log(), `"status":500`)
}

// TestHEADIsGETWithoutABody is RFC 9110 §9.1 and §9.3.2, at whatever is there
// and whatever is not.
func TestHEADIsGETWithoutABody(t *testing.T) {
	p := newProtocol(t, svctest.Options{})
	key := p.Tenant.ApplicationKey
	for path, bearer := range map[string]string{
		"/.well-known/oauth-authorization-server": "", "/.well-known/openid-configuration": "",
		"/.well-known/jwks.json": "", "/healthz": "", "/readyz": "",
		"/openapi.json": "", "/docs": "", "/docs/docs.js": "", "/": "", "/console": "", "/console/sign-in": "",
		"/nothing": "", "/console/nothing": "", "/v1/nothing": "",
		"/v1/me": "", "/v1/roles?limit=1": p.OwnToken(key.ClientID, key.ClientSecret),
		"/oauth2/revocations": p.OwnToken(key.ClientID, key.ClientSecret),
	} {
		header := []string{"Accept-Encoding", "identity"}
		if bearer != "" {
			header = append(header, "Authorization", "Bearer "+bearer)
		}
		get, head := p.send(t, request{method: "GET", path: path, header: header}), p.send(t,
			request{method: "HEAD", path: path, header: header})
		require.Empty(t, head.Text)
		require.Equal(t, get.Status, head.Status, path)
		require.NotEqual(t, 405, head.Status, path)
		for _, h := range []http.Header{get.Header, head.Header} { // what must differ, and what may be left out
			for _, name := range []string{"Date", "X-Request-Id", "Content-Length", "Set-Cookie"} {
				h.Del(name)
			}
		}
		require.Equal(t, get.Header, head.Header, path)
	}
	stream := p.send(t, request{method: "HEAD", path: "/oauth2/revocations",
		header: []string{"Accept", "text/event-stream", "Authorization",
			"Bearer " + p.OwnToken(key.ClientID, key.ClientSecret)}})
	require.Equal(t, 200, stream.Status)
	require.Equal(t, "text/event-stream", stream.Header.Get("Content-Type"))
	for path, allow := range map[string]string{"/oauth2/token": "POST", "/docs": "GET, HEAD"} {
		for _, method := range []string{"HEAD", "DELETE"} {
			a := p.send(t, request{method: method, path: path})
			if method == "HEAD" && path == "/docs" {
				continue
			}
			require.Equal(t, 405, a.Status, path)
			require.Equal(t, allow, a.Header.Get("Allow"))
		}
	}
	require.Contains(t, p.Log(), `"method":"HEAD"`)
}

// TestUnknownAndWrongGetTheSameAnswer byte for byte, whatever is asked for
// beside.
func TestUnknownAndWrongGetTheSameAnswer(t *testing.T) {
	p := newProtocol(t, svctest.Options{})
	gone := p.Account("gone", "clusters:view")
	require.NoError(t, p.App.Access.DeleteServiceAccount(p.System(), gone.ID))
	wrong := svcauth.NewSecret()
	for _, endpoint := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"} {
		var first svctest.Answer
		for i, c := range []struct {
			id     string
			secret svcauth.Secret
		}{{p.id, wrong}, {svcauth.NewID(svcauth.PrefixServiceAccount), wrong},
			{svcauth.NewID(svcauth.PrefixApplicationKey), wrong}, {"nonsense", wrong},
			{p.id, "short"}, {gone.ClientID, gone.ClientSecret}, {p.id, svcauth.Secret(p.secret) + "x"},
			{strings.ToUpper(p.id), svcauth.Secret(p.secret)}} {
			a := p.Post(endpoint, c.id, c.secret,
				url.Values{"grant_type": {"client_credentials"}, "token": {"x"}, "scope": {"nonsense"}})
			a.Header.Del("X-Request-Id")
			a.Header.Del("Date")
			if i == 0 {
				require.Equal(t, 401, a.Status)
				first = a
			}
			require.Equal(t, first, a, "case %d", i)
		}
	}
}
