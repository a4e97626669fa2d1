// Not under the race detector: nothing runs beside it.

//go:build !race

package app

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/config"
)

// Each path that the server serves is refused as an alias of the token
// endpoint.
func TestNoAliasTakesTheServersOwnPaths(t *testing.T) {
	a := newApp(t)
	for _, route := range a.face.Routes {
		first, _, _ := strings.Cut(strings.TrimPrefix(route, "/"), "/")
		if first == "" || route != "/oauth2/token" && a.tokenRoutes[route] {
			continue // the root, which is no path for an alias, or an alias
		}
		_, err := config.Load(config.LoadOptions{Environ: []string{"SVCAUTH_TOKEN_ALIASES=/" + first + "/x"}})
		require.ErrorContains(t, err, "the server serves /"+first+" itself", route)
	}
}

// newApp returns an app that serves nobody yet.
func newApp(t *testing.T) *App {
	t.Helper()
	dir := t.TempDir()
	environ := []string{"SVCAUTH_DATABASE_URL=sqlite://" + filepath.Join(dir, "svcauth.db"),
		"SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key")}
	cfg, err := config.Load(config.LoadOptions{Environ: environ})
	require.NoError(t, err)
	a, err := New(t.Context(), cfg, Options{Log: io.Discard})
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// Each path and method that is served to programs is in the document, and the
// document has no other.
func TestTheDocumentHasEachRoute(t *testing.T) {
	a := newApp(t)
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		a.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w
	}
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(ask(http.MethodGet, "/openapi.json").Body.Bytes(), &doc))
	documented := map[string]bool{}
	for path, item := range doc.Paths {
		for method := range item {
			documented[strings.ToUpper(method)+" "+path] = true
		}
	}
	served, parameter := map[string]bool{}, regexp.MustCompile(`:(\w+)`)
	for _, route := range a.face.Routes {
		first, _, _ := strings.Cut(strings.TrimPrefix(route, "/"), "/")
		if slices.Contains([]string{"", "console", "docs", "openapi.json"}, first) {
			continue // for people, and the document itself
		}
		refused := ask("BREW", parameter.ReplaceAllString(route, "$1"))
		require.Equal(t, http.StatusMethodNotAllowed, refused.Code, route)
		for method := range strings.SplitSeq(refused.Header().Get("Allow"), ", ") {
			if method != http.MethodHead && method != http.MethodOptions {
				served[method+" "+parameter.ReplaceAllString(route, "{$1}")] = true
			}
		}
	}
	require.Greater(t, len(served), 50)
	require.Equal(t, slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(documented)))
}
