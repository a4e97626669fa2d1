package guide

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// Each page of deploy/docs is served: one that is new must be given its place.
func TestEachPageHasItsPlace(t *testing.T) {
	written, err := filepath.Glob("../../deploy/docs/*.md")
	require.NoError(t, err)
	var known []string
	names := map[string]bool{}
	for _, g := range groups {
		for _, s := range g.pages {
			_, err := os.Stat(filepath.Join("..", "..", s.file))
			require.NoError(t, err)
			require.False(t, names[s.name], s.name)
			names[s.name] = true
			if strings.HasPrefix(s.file, "deploy/docs/") {
				known = append(known, filepath.Join("..", "..", filepath.FromSlash(s.file)))
			}
		}
	}
	slices.Sort(known)
	require.Equal(t, written, known)
}

// The renderer leaves out raw HTML, so there must be none but comments, which
// are for tests.
func TestThePagesHoldNoHTML(t *testing.T) {
	comment := regexp.MustCompile(`^(<!--([^-]|-[^-])*-->\s*)+$`)
	for _, g := range groups {
		for _, s := range g.pages {
			raw, err := s.text()
			require.NoError(t, err)
			if s.plain {
				continue
			}
			document := goldmark.New().Parser().Parse(text.NewReader(raw))
			require.NoError(t, ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
				switch n := n.(type) {
				case *ast.HTMLBlock:
					require.Regexp(t, comment, string(n.Lines().Value(raw)), s.name)
				case *ast.RawHTML:
					require.Regexp(t, comment, string(n.Segments.Value(raw)), s.name)
				}
				return ast.WalkContinue, nil
			}))
		}
	}
}

func renderText(t *testing.T, markdown string) string {
	t.Helper()
	r, err := source{name: "run", file: "deploy/docs/run.md", text: of([]byte(markdown))}.render()
	require.NoError(t, err)
	return r.body
}

func TestLinks(t *testing.T) {
	for markdown, want := range map[string]string{
		"[sizing](sizing.md)":                           `<a href="sizing">sizing</a>`,
		"[key](upgrade.md#changing-the-master-key)":     `<a href="upgrade#changing-the-master-key">key</a>`,
		"[below](#one-node)":                            `<a href="#one-node">below</a>`,
		"[README](../../README.md)":                     `<a href="start">README</a>`,
		"[house](../../internal/README.md)":             `<a href="architecture">house</a>`,
		"[all](../../config/svcauth.yaml)":              `<a href="configuration">all</a>`,
		"[deploy/compose.yaml](../compose.yaml)":        `<code>deploy/compose.yaml</code>`,
		"[a *b*](../systemd/svcauth.service)":           `a <em>b</em> (<code>deploy/systemd/svcauth.service</code>)`,
		"[`a`](../prometheus/alerts.yaml)":              `<code>a</code> (<code>deploy/prometheus/alerts.yaml</code>)`,
		"[RFC](https://www.rfc-editor.org/rfc/rfc6749)": `<a href="https://www.rfc-editor.org/rfc/rfc6749">RFC</a>`,
		"<script>alert(1)</script>":                     "",
		"a <b>c</b>":                                    "a c",
		"<!-- run x -->":                                "",
	} {
		got := renderText(t, "# Title\n\n"+markdown+"\n")
		require.Contains(t, got, want, markdown)
		require.NotContains(t, got, "<script")
		require.NotContains(t, got, "<b>")
		require.NotContains(t, got, "<!--")
	}
}

// The names of headings are those by which GitHub links them.
func TestHeadings(t *testing.T) {
	got := renderText(t, "# Go: x/oauth2\n\n## `svcauth_role` & more\n\n## .NET\n\n## .NET\n")
	require.Contains(t, got, `<h1 id="go-xoauth2">Go: x/oauth2</h1>`)
	require.Contains(t, got, `<h2 id="svcauth_role--more">`)
	require.Contains(t, got, `aria-label="Link to svcauth_role &amp; more"`)
	require.Contains(t, got, `<h2 id="net">`)
	require.Contains(t, got, `<h2 id="net-1">`)
}

func TestAPageWithoutHeadingOrWithAnImageIsRefused(t *testing.T) {
	for _, markdown := range []string{"text", "# Title\n\n![x](x.png)"} {
		_, err := source{name: "x", file: "deploy/docs/x.md", text: of([]byte(markdown))}.render()
		require.Error(t, err, markdown)
	}
}
