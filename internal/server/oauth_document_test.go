package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// endpoint is what the document has of one method at one path outside /v1.
type endpoint struct {
	OperationID string                       `json:"operationId"`
	Summary     string                       `json:"summary"`
	Tags        []string                     `json:"tags"`
	Security    []map[string][]string        `json:"security"`
	RequestBody struct{ Content mediaTypes } `json:"requestBody"`
	Responses   map[string]struct {
		Content mediaTypes     `json:"content"`
		Headers map[string]any `json:"headers"`
	} `json:"responses"`

	method, path string
}

type mediaTypes map[string]struct {
	Schema struct {
		Ref        string         `json:"$ref"`
		Properties map[string]any `json:"properties"`
		AllOf      []struct {
			Properties map[string]struct{ Enum []string } `json:"properties"`
		} `json:"allOf"`
	} `json:"schema"`
	Example any `json:"example"`
}

// endpoints returns them by method and path.
func endpoints(t *testing.T, s *svctest.Server) map[string]endpoint {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]endpoint `json:"paths"`
	}
	require.NoError(t, json.Unmarshal([]byte(s.Get("/openapi.json", "").Text), &doc))
	all := map[string]endpoint{}
	for path, item := range doc.Paths {
		for verb, e := range item {
			if e.method, e.path = strings.ToUpper(verb), path; !strings.HasPrefix(path, "/v1/") {
				all[e.method+" "+path] = e
			}
		}
	}
	return all
}

// endpointDocument holds answers against the document, and remembers what was
// seen of it.
type endpointDocument struct {
	t         *testing.T
	s         *svctest.Server
	compiler  *jsonschema.Compiler
	endpoints map[string]endpoint
	seen      map[string]bool
}

func newEndpointDocument(t *testing.T, s *svctest.Server) *endpointDocument {
	doc, compiler := loadDocument(t, s)
	closeObjects(doc) // an answer has no field that the document lacks
	return &endpointDocument{t, s, compiler, endpoints(t, s), map[string]bool{}}
}

// closeObjects lets each schema take the fields that it names and no others.
func closeObjects(node any) {
	switch n := node.(type) {
	case map[string]any:
		if _, ok := n["properties"].(map[string]any); ok && n["type"] == "object" {
			n["additionalProperties"] = false
		}
		for _, v := range n {
			closeObjects(v)
		}
	case []any:
		for _, v := range n {
			closeObjects(v)
		}
	}
}

// requireText holds a body against the document's schema for it.
func (d *endpointDocument) requireText(e endpoint, status, media, text string) {
	d.t.Helper()
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	schema, err := d.compiler.Compile(documentURL + "#/paths/" + escape.Replace(e.path) + "/" +
		strings.ToLower(e.method) + "/responses/" + status + "/content/" + escape.Replace(media) + "/schema")
	require.NoError(d.t, err)
	var body any = text
	if media == "application/json" {
		body, err = jsonschema.UnmarshalJSON(strings.NewReader(text))
		require.NoError(d.t, err)
	}
	require.NoError(d.t, schema.Validate(body), "%s: %s", e.OperationID, text)
}

// require holds an answer against the document: its status, its media type, its
// body and what it must have in its header.
func (d *endpointDocument) require(e endpoint, a svctest.Answer) {
	d.t.Helper()
	status := strconv.Itoa(a.Status)
	response, ok := e.Responses[status]
	require.True(d.t, ok, "%s: %s is not documented: %s", e.OperationID, status, a.Text)
	for name := range response.Headers {
		require.NotEmpty(d.t, a.Header.Get(name), "%s %s", e.OperationID, status)
	}
	key := e.method + " " + e.path + " " + status
	if a.Text == "" {
		require.Empty(d.t, a.Header.Get("Content-Type"))
		d.seen[key] = true
		return
	}
	media := a.Header.Get("Content-Type")
	require.Contains(d.t, response.Content, media, e.OperationID)
	d.requireText(e, status, media, a.Text)
	if code, ok := a.JSON["error"].(string); ok {
		key += " " + code
	}
	d.seen[key] = true
}

// documented returns what the document says that can be seen: each status, with
// each of its error codes.
func (d *endpointDocument) documented() (all []string) {
	for name, e := range d.endpoints {
		for status, response := range e.Responses {
			codes := []string{""}
			if media := response.Content["application/json"]; len(media.Schema.AllOf) == 2 {
				codes = media.Schema.AllOf[1].Properties["error"].Enum
			}
			for _, code := range codes {
				all = append(all, strings.TrimSpace(name+" "+status+" "+code))
			}
		}
	}
	slices.Sort(all)
	return all
}

func (d *endpointDocument) send(method, path, body string, header ...string) svctest.Answer {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.s.URL+path, strings.NewReader(body))
	require.NoError(d.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	a := d.s.Do(req)
	path, _, _ = strings.Cut(path, "?")
	d.require(d.endpoints[method+" "+path], a)
	return a
}

// TestTheEndpointsOutsideV1AnswerAsDocumented asks each of them in each way
// that the document has an answer for. What is documented and never seen fails,
// as does what is seen and not documented.
func TestTheEndpointsOutsideV1AnswerAsDocumented(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_DPOP_NONCE=optional"}})
	d := newEndpointDocument(t, s)
	account, other := s.Account("documented", "clusters:view"), s.Account("another")
	subscriber := s.Account("subscriber", "tokens:introspect")
	form := []string{"Content-Type", formType}
	basic := func(a svcauth.ServiceAccount, secret string) []string {
		req, _ := http.NewRequest(http.MethodPost, "/", nil)
		req.SetBasicAuth(a.ClientID, secret)
		return append(slices.Clone(form), "Authorization", req.Header.Get("Authorization"))
	}
	right := basic(account, account.ClientSecret.Reveal())
	const grant = "grant_type=client_credentials"
	token := s.Token(account.ClientID, account.ClientSecret, "")
	for _, path := range []string{"/oauth2/token", "/api/1.0/token"} {
		d.send("POST", path, grant, right...)
		for _, body := range []string{"", "grant_type=password", grant + "&scope=clusters:edit",
			grant + "&resource=nothing", grant + "&scope=a&scope=b"} {
			d.send("POST", path, body, right...)
		}
		prover := newProver(t, s)
		for _, proof := range []string{"nonsense", prover.proof("POST", path, "no nonce of ours", "")} {
			d.send("POST", path, grant, append(slices.Clone(right), "DPoP", proof)...)
		}
	}
	d.send("POST", "/api/1.0/token?"+grant+"&scope=clusters:view", "", right...)
	for path, body := range map[string]string{"/oauth2/token": grant, "/api/1.0/token": grant,
		"/oauth2/revoke": "token=x", "/oauth2/introspect": "token=x"} {
		d.send("POST", path, body, basic(account, svcauth.NewSecret().Reveal())...)
		d.send("POST", path, body, form...)
		d.send("POST", path, `{}`, append(slices.Clone(right), "Content-Type", "application/json")...)
		d.send("POST", path, strings.Repeat("x", 32<<10), right...)
	}
	for _, path := range []string{"/oauth2/revoke", "/oauth2/introspect"} {
		d.send("POST", path, "", right...)
	}
	d.send("POST", "/oauth2/introspect", "token="+token, right...)
	d.send("POST", "/oauth2/introspect", "token=x", right...)
	d.send("POST", "/oauth2/introspect", "token=x", append(slices.Clone(form), "Authorization", "Bearer x")...)
	d.send("POST", "/oauth2/revoke", "token="+token, basic(other, other.ClientSecret.Reveal())...)
	d.send("POST", "/oauth2/revoke?wait=0s", "token="+token, right...)
	d.send("POST", "/oauth2/revoke", "token="+token, right...)
	prover := newProver(t, s, svcauth.TokensIntrospect)
	bound := prover.token(s.Issuer)
	for _, e := range [][2]string{{"POST", "/oauth2/introspect"}, {"GET", "/oauth2/revocations"},
		{"POST", "/oauth2/revocations/ack"}} {
		for _, proof := range []string{"nonsense", prover.proof(e[0], e[1], "no nonce of ours", bound)} {
			d.send(e[0], e[1], "token=x", append(slices.Clone(form), "Authorization", "DPoP "+bound, "DPoP", proof)...)
		}
	}
	followFeed(d, s.OwnToken(subscriber.ClientID, subscriber.ClientSecret),
		s.OwnToken(other.ClientID, other.ClientSecret))
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration",
		"/.well-known/jwks.json", "/healthz", "/readyz"} {
		d.send("GET", path, "")
	}
	guessTooOften(d, account, basic)

	unseen := map[string]bool{"500 server_error": true, "503 temporarily_unavailable": true, // faults, not requests
		"400 unauthorized_client": true, // no kind of client is kept from the one grant there is
		"503":                     true} // /readyz: the tests of package app have it
	for _, what := range d.documented() {
		_, rest, _ := strings.Cut(what, " ")
		_, rest, _ = strings.Cut(rest, " ")
		require.True(t, d.seen[what] || unseen[rest], "%s is documented, and nothing here is answered so", what)
	}
}

// followFeed asks for pages, the stream and receipts, rightly and wrongly.
func followFeed(d *endpointDocument, right, weak string) {
	const feed, ack = "/oauth2/revocations", "/oauth2/revocations/ack"
	bearer := func(token string, more ...string) []string {
		return append([]string{"Authorization", "Bearer " + token}, more...)
	}
	page := d.send("GET", feed, "", bearer(right)...)
	require.NotEmpty(d.t, page.JSON["revocations"])
	cursor := fmt.Sprint(page.JSON["cursor"])
	d.send("GET", feed+"?since="+cursor, "", bearer(right)...)
	d.send("GET", feed+"?since=nonsense", "", bearer(right)...)
	d.send("POST", ack, `{"cursor":"`+cursor+`"}`, bearer(right)...)
	d.send("POST", ack, `{}`, bearer(right)...)
	for path, method := range map[string]string{feed: "GET", ack: "POST"} {
		d.send(method, path, "")
		d.send(method, path, "", bearer("x")...)
		d.send(method, path, "", bearer(weak)...)
		require.Eventually(d.t, func() bool {
			return d.send(method, path, "", bearer(weak)...).Status == http.StatusTooManyRequests
		}, time.Minute, time.Millisecond)
	}
	stream := d.endpoints["GET "+feed].Responses["200"].Content["text/event-stream"]
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.s.URL+feed, nil)
	require.NoError(d.t, err)
	req.Header.Set("Authorization", "Bearer "+right)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := d.s.HTTP.Do(req)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	require.Equal(d.t, "text/event-stream", resp.Header.Get("Content-Type"))
	first := make([]byte, len("event: snapshot\n"))
	_, err = resp.Body.Read(first)
	require.NoError(d.t, err)
	require.True(d.t, strings.HasPrefix(fmt.Sprint(stream.Example), string(first)), "the example begins as the stream")
}

// guessTooOften sends wrong secrets until each endpoint says so.
func guessTooOften(d *endpointDocument, account svcauth.ServiceAccount,
	basic func(svcauth.ServiceAccount, string) []string,
) {
	wrong := basic(account, svcauth.NewSecret().Reveal())
	for _, path := range []string{"/oauth2/token", "/api/1.0/token", "/oauth2/revoke", "/oauth2/introspect"} {
		require.Eventually(d.t, func() bool {
			return d.send("POST", path, "grant_type=client_credentials&token=x", wrong...).Status ==
				http.StatusTooManyRequests
		}, time.Minute, time.Millisecond)
	}
}

// TestTheEndpointsOutsideV1AreDescribed: what a reader and a generator need is
// there, the examples are what the schemas say, and the fields of the forms are
// those that the endpoints read.
func TestTheEndpointsOutsideV1AreDescribed(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	d := newEndpointDocument(t, s)
	for name, e := range d.endpoints {
		require.NotEmpty(t, e.OperationID, name)
		require.NotEmpty(t, e.Summary, name)
		require.Len(t, e.Tags, 1, name)
		for status, response := range e.Responses {
			for media, content := range response.Content {
				require.NotNil(t, content.Example, "%s %s %s", name, status, media)
				text, err := json.Marshal(content.Example)
				require.NoError(t, err)
				if media != "application/json" {
					text = []byte(fmt.Sprint(content.Example))
				}
				d.requireText(e, status, media, string(text))
			}
		}
	}
	account := s.Account("forms", "clusters:view")
	for _, path := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"} {
		e := d.endpoints["POST "+path]
		require.Contains(t, e.Security, map[string][]string{"client_secret_basic": {}}, path)
		require.Contains(t, e.Security, map[string][]string{}, "%s: or in the body", path)
		fields := e.RequestBody.Content[formType].Schema.Properties
		require.NotEmpty(t, fields, path)
		for field := range fields {
			a := s.Post(path, account.ClientID, account.ClientSecret, url.Values{field + "[]": {"x"}})
			require.Contains(t, a.JSON["error_description"], field+"[...] is how some libraries write a list",
				"a name that the server does not know is ignored")
		}
	}
	token := d.endpoints["POST /oauth2/token"].RequestBody.Content[formType].Schema.Properties
	require.Equal(t, []string{"actor_token", "actor_token_type", "audience",
		"client_assertion", "client_assertion_type", "client_id", "client_secret",
		"grant_type", "requested_token_type", "resource", "scope", "subject_token", "subject_token_type",
	}, slices.Sorted(maps.Keys(token)))
	var metadata map[string]any
	require.NoError(t, json.Unmarshal([]byte(s.Get("/.well-known/oauth-authorization-server", "").Text), &metadata))
	require.Equal(t, metadata["grant_types_supported"], token["grant_type"].(map[string]any)["enum"])
	for name, value := range metadata {
		if path, ok := strings.CutPrefix(fmt.Sprint(value), s.Issuer+"/"); ok && path != "docs" {
			known := d.endpoints["GET /"+path].OperationID + d.endpoints["POST /"+path].OperationID
			require.NotEmpty(t, known, "the metadata names %s, which is not documented", name)
		}
	}
}
