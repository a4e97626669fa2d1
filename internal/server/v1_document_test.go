package server_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

const documentURL = "https://svcauth.test/openapi.json"

// loadDocument returns /openapi.json and a compiler of JSON Schema that knows
// it.
func loadDocument(t *testing.T, s *svctest.Server) (map[string]any, *jsonschema.Compiler) {
	answer := s.Get("/openapi.json", "")
	require.Equal(t, 200, answer.Status)
	require.Equal(t, "application/json", answer.Header.Get("Content-Type"))
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(answer.Text))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020) // that of OpenAPI 3.1
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource(documentURL, doc))
	return doc.(map[string]any), compiler
}

// The document is OpenAPI 3.1 by the OpenAPI Initiative's own schema. Each of
// its schemas is one of JSON Schema 2020-12, and all references resolve.
func TestDocumentIsOpenAPI31(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	doc, compiler := loadDocument(t, s)
	text, err := os.ReadFile("testdata/openapi-3.1-schema.json")
	require.NoError(t, err)
	official, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	require.NoError(t, compiler.AddResource("openapi-3.1-schema.json", official))
	schema, err := compiler.Compile("openapi-3.1-schema.json")
	require.NoError(t, err)
	require.NoError(t, schema.Validate(doc))
	broken := map[string]any{"openapi": "3.1.0", "info": doc["info"],
		"paths": map[string]any{"/x": map[string]any{"get": map[string]any{"responses": 1}}}}
	require.Error(t, schema.Validate(broken), "the check must be able to fail")

	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	for name, v := range schemas {
		_, err := compiler.Compile(documentURL + "#/components/schemas/" + name)
		require.NoError(t, err, name)
		one := v.(map[string]any)
		require.NotEmpty(t, one["description"], name)
		properties, _ := one["properties"].(map[string]any)
		for field, property := range properties {
			require.NotEmpty(t, property.(map[string]any)["description"], "%s.%s has no words", name, field)
		}
	}
	require.NotContains(t, schemas, "ErrorModel", "errors are ours")
	for ref := range refs(doc) {
		_, known := schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
		require.True(t, known, "%s leads nowhere", ref)
	}
	ids := map[string]bool{}
	for _, o := range operations(t, s) {
		require.False(t, ids[o.id], "%s stands twice", o.id)
		ids[o.id] = true
	}
}

// refs yields each $ref of the document.
func refs(node any) map[string]bool {
	found := map[string]bool{}
	switch n := node.(type) {
	case map[string]any:
		for key, v := range n {
			if text, ok := v.(string); ok && key == "$ref" {
				found[text] = true
			}
			for ref := range refs(v) {
				found[ref] = true
			}
		}
	case []any:
		for _, v := range n {
			for ref := range refs(v) {
				found[ref] = true
			}
		}
	}
	return found
}

// Each call, made by a caller that may, answers with a status and a body that
// the document has for it.
func TestAnswersAreAsDocumented(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	v := newTarget(t, s)
	documented := newAnswers(t, s)
	all := operations(t, s)
	order := func(o operation) int { // what is read first, what is destroyed last, from the inside out
		rank := map[string]int{http.MethodGet: 0, http.MethodPost: 10, http.MethodPut: 20, http.MethodPatch: 30,
			http.MethodDelete: 50}[o.method]
		return map[string]int{"revokeTokens": 40, "revokeToken": 9, "revokeSigningKey": 60}[o.id] +
			rank - strings.Count(o.path, "/")
	}
	slices.SortStableFunc(all, func(a, b operation) int { return cmp.Compare(order(a), order(b)) })
	other := map[string]int{"deleteApplicationKey": 404, "deleteOrganization": 409,
		"revokeToken": 0} // the reset before it ended it; one's own
	for _, o := range all {
		t.Run(o.id, func(t *testing.T) {
			admin := s.OwnToken(s.Tenant.ApplicationKey.ClientID, s.Tenant.ApplicationKey.ClientSecret)
			a := ask(t, s, o.method, v.address(t, o.path), admin, v.body(t, o))
			if want, ok := other[o.id]; !ok || want != 0 {
				require.Equal(t, ok, a.Status >= 300, "%d %s", a.Status, a.Text)
			}
			documented.require(t, o, a)
			require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
			if a.Status == http.StatusCreated {
				requireLocation(t, s, admin, a)
			}
		})
	}
}

// answers are what the document says that calls are answered.
type answers struct {
	paths    map[string]any
	compiler *jsonschema.Compiler
}

func newAnswers(t *testing.T, s *svctest.Server) answers {
	doc, compiler := loadDocument(t, s)
	return answers{doc["paths"].(map[string]any), compiler}
}

// require holds an answer, a refusal too, against the document: its status, its
// media type and its body.
func (d answers) require(t *testing.T, o operation, a svctest.Answer) {
	t.Helper()
	op := d.paths[o.path].(map[string]any)[strings.ToLower(o.method)].(map[string]any)
	response, documented := op["responses"].(map[string]any)[strconv.Itoa(a.Status)].(map[string]any)
	require.True(t, documented, "%s: %d is not documented: %s", o.id, a.Status, a.Text)
	content, has := response["content"].(map[string]any)
	if !has {
		require.Empty(t, a.Text)
		require.Empty(t, a.Header.Get("Content-Type"))
		return
	}
	media, ok := content[a.Header.Get("Content-Type")].(map[string]any)
	require.True(t, ok, "%s: the media type %s is not documented", o.id, a.Header.Get("Content-Type"))
	schema, err := d.compiler.Compile(documentURL + media["schema"].(map[string]any)["$ref"].(string))
	require.NoError(t, err)
	body, err := jsonschema.UnmarshalJSON(strings.NewReader(a.Text))
	require.NoError(t, err)
	require.NoError(t, schema.Validate(body), a.Text)
}

// What is left out of a request is there in the answer, lists as lists.
func TestAnswersToTheSmallestRequestsAreAsDocumented(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	documented, admin := newAnswers(t, s), adminToken(s)
	for id, c := range map[string]struct{ path, body string }{
		"createRole":           {"/v1/roles", `{"name":"empty"}`},
		"createServiceAccount": {"/v1/service-accounts", `{"name":"empty"}`},
		"inviteMember":         {"/v1/members", `{"email":"empty@example.com","first_name":"E","last_name":"M"}`},
		"createApplicationKey": {"/v1/application-keys", `{}`},
		"createOrganization":   {"/v1/organizations", `{"name":"empty","admin_email":"other@example.com"}`},
	} {
		for _, kind := range []string{"application/json",
			"Application/JSON; charset=UTF-8"} { // RFC 9110 §8.3.1: in any case
			body := c.body
			if kind != "application/json" {
				body = strings.ReplaceAll(strings.ReplaceAll(body, "empty", "void"), "other@", "another@")
			}
			a := ask(t, s, http.MethodPost, c.path, admin, body, "Content-Type", kind)
			require.Equal(t, 201, a.Status, a.Text)
			documented.require(t, operation{id: id, method: http.MethodPost, path: c.path}, a)
			if at := a.Header.Get("Location"); at != "" {
				documented.require(t,
					operation{id: "the thing of " + id, method: http.MethodGet, path: c.path + "/{id}"},
					s.Get(at, admin))
			}
		}
	}
}

// requireLocation follows the Location of what was made.
func requireLocation(t *testing.T, s *svctest.Server, admin string, a svctest.Answer) {
	location := a.Header.Get("Location")
	require.Contains(t, location, fmt.Sprint(a.JSON["id"]))
	if strings.Contains(location, "/secrets/") {
		return // a secret is read in the list
	}
	got := s.Get(location, admin)
	require.Equal(t, 200, got.Status, got.Text)
	require.Equal(t, a.Header.Get("ETag"), got.Header.Get("ETag"))
	require.NotContains(t, got.Text, "client_secret")
	var made map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.Text), &made))
	require.Equal(t, made["id"], got.JSON["id"])
}

// /docs loads nothing from elsewhere and runs nothing but its own script.
func TestDocsArePlain(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	for path, kind := range map[string]string{"/docs": "text/html; charset=utf-8",
		"/docs/docs.js": "text/javascript; charset=utf-8", "/docs/docs.css": "text/css; charset=utf-8"} {
		a := s.Get(path, "")
		require.Equal(t, 200, a.Status)
		require.Equal(t, kind, a.Header.Get("Content-Type"))
		policy := a.Header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.NotContains(t, policy, "unsafe")
		require.NotContains(t, a.Text, "//cdn")
		require.NotRegexp(t, `(src|href)="(https?:)?//`, a.Text)
		require.NotContains(t, a.Text, "innerHTML")
		for _, tag := range []string{a.Header.Get("ETag"),
			`"x", W/` + a.Header.Get("ETag")} { // weak behind a proxy that compresses
			req, err := http.NewRequest(http.MethodGet, s.URL+path, nil)
			require.NoError(t, err)
			req.Header.Set("If-None-Match", tag)
			require.Equal(t, http.StatusNotModified, s.Do(req).Status)
		}
	}
}
