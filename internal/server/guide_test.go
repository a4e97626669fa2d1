package server_test

import (
	"context"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

var (
	hrefs = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	ids   = regexp.MustCompile(`\bid="([^"]*)"`)
)

// walkGuide follows every link from the page of the API's description, and
// returns each page that it came to with its text.
func walkGuide(t *testing.T, s *svctest.Server) map[string]string {
	t.Helper()
	texts, todo := map[string]string{}, []string{"/docs"}
	type link struct{ from, to, fragment string }
	var links []link
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		if _, ok := texts[path]; ok {
			continue
		}
		a := s.Get(path, "")
		require.Equal(t, http.StatusOK, a.Status, path)
		require.NotEmpty(t, a.Header.Get("ETag"), path)
		require.Contains(t, a.Header.Get("Cache-Control"), "max-age=", path)
		texts[path] = a.Text
		if !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			continue
		}
		require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'", path)
		base, err := url.Parse(path)
		require.NoError(t, err)
		for _, match := range hrefs.FindAllStringSubmatch(a.Text, -1) {
			ref, err := url.Parse(html.UnescapeString(match[1]))
			require.NoError(t, err)
			if ref.IsAbs() {
				require.Contains(t, []string{"https", "data"}, ref.Scheme, "%s links %s", path, ref)
				require.False(t, strings.Contains(match[0], "src=") && ref.Scheme != "data", "%s loads %s", path, ref)
				continue
			}
			require.False(t, strings.HasPrefix(ref.Path, "/"), "%s links %s: not below the issuer", path, ref)
			to := base.ResolveReference(ref)
			links = append(links, link{path, to.Path, to.Fragment})
			todo = append(todo, to.Path)
		}
	}
	for _, l := range links {
		if l.fragment == "" {
			continue
		}
		found := false
		for _, match := range ids.FindAllStringSubmatch(texts[l.to], -1) {
			found = found || html.UnescapeString(match[1]) == l.fragment
		}
		require.True(t, found, "%s links %s#%s, and there is no such place", l.from, l.to, l.fragment)
	}
	return texts
}

// Each page can be reached from the page of the API's description, and leads
// back to it; each link leads somewhere; an answer can be kept.
func TestThePagesOfTheGuideAreLinked(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	texts := walkGuide(t, s)
	for _, name := range []string{"start", "clients", "protect", "manage", "terraform", "run", "operate",
		"upgrade", "versions", "backup", "runbook", "sizing", "security", "reference", "configuration", "catalogue",
		"architecture"} {
		text, ok := texts["/docs/"+name]
		require.True(t, ok, "nothing links /docs/%s", name)
		require.Contains(t, text, `<a href="../docs">The API</a>`, name)
		require.Contains(t, text, `aria-current="page"`, name)
		require.Equal(t, 1, strings.Count(text, "<h1"), name)
		require.NotContains(t, text, "<!--", name)
		require.NotContains(t, text, "raw HTML omitted", name)
		require.NotRegexp(t, `href="[^"]*\.md[#"]`, text, name)
	}
	req, err := http.NewRequest(http.MethodGet, s.URL+"/docs/clients", nil)
	require.NoError(t, err)
	req.Header.Set("If-None-Match", s.Get("/docs/clients", "").Header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, s.Do(req).Status)
	require.Equal(t, http.StatusNotFound, s.Get("/docs/nothing", "").Status)
}

// Every page in a real browser that can reach no other host: light and dark,
// from a telephone's width on, with nothing that sticks out at the side, and
// axe-core finds nothing.
func TestThePagesOfTheGuideInABrowser(t *testing.T) {
	program := svctest.Chromium(t)
	path := os.Getenv("SVCAUTH_AXE")
	if path == "" {
		path = filepath.Join("..", "..", ".cache", "axe-core", "axe.min.js")
	}
	axe, err := os.ReadFile(path)
	require.NoError(t, err, "run `make deps`, or set SVCAUTH_AXE to the path of axe-core's axe.min.js")
	s := svctest.New(t, svctest.Options{})
	ctx := browse(t, program)
	for page, text := range walkGuide(t, s) {
		if !strings.HasPrefix(text, "<!doctype html>") {
			continue
		}
		for _, look := range []struct {
			scheme string
			width  int64
			rules  string // of axe-core
		}{{"light", 1280, "{}"}, {"light", 360, ""}, {"dark", 360, `{runOnly: ["color-contrast"]}`}} {
			require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(look.width, 800)))
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}},
			})
			require.NoError(t, err)
			require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(s.URL+page)))
			if page == "/docs" {
				awaitScript(t, ctx, `document.querySelector("#begin pre") ? "ok" : ""`)
			}
			wide, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth`))
			require.NoError(t, err)
			require.LessOrEqual(t, wide, int(look.width), "%s is too wide", page)
			strange, err := chromedp.Run(ctx, chromedp.Evaluate[int](
				`performance.getEntriesByType("resource").filter((r) => !r.name.startsWith(location.origin)).length`))
			require.NoError(t, err)
			require.Zero(t, strange, "%s loads from elsewhere", page)
			if look.rules == "" {
				continue
			}
			script := string(axe) + `; window.found = ""; axe.run(document, ` + look.rules +
				`).then((r) => { window.found = JSON.stringify(` +
				`r.violations.map((v) => [v.id, v.help, v.nodes[0].html])) }); true`
			_, err = chromedp.Run(ctx, chromedp.Evaluate[bool](script))
			require.NoError(t, err)
			require.Equal(t, "[]", awaitScript(t, ctx, `window.found`), "%s in %s", page, look.scheme)
		}
	}
}

// awaitScript returns what a script says once it says anything.
func awaitScript(t *testing.T, ctx context.Context, script string) (text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		text, err = chromedp.Run(ctx, chromedp.Evaluate[string](script))
		return err == nil && text != ""
	}, time.Minute, 20*time.Millisecond, script)
	return text
}
