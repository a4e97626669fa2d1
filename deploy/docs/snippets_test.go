package docs_test

import (
	"fmt"
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

// snippet is a block of code on a page, with what stands before it.
type snippet struct {
	page   string // its path from here
	before string // the text of the block before it, if that is a comment or a paragraph
	text   string
}

// snippets returns the blocks of a page, fenced and indented ones.
func snippets(t *testing.T, page string) (all []snippet) {
	t.Helper()
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	document := goldmark.New().Parser().Parse(text.NewReader(raw))
	require.NoError(t, ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering || n.Kind() != ast.KindCodeBlock && n.Kind() != ast.KindFencedCodeBlock {
			return ast.WalkContinue, nil
		}
		s := snippet{page: page, text: string(n.Lines().Value(raw))}
		if before := n.PreviousSibling(); before != nil && before.Type() == ast.TypeBlock {
			s.before = strings.TrimSpace(string(before.Lines().Value(raw)))
		}
		all = append(all, s)
		return ast.WalkContinue, nil
	}))
	return all
}

// snippetOf returns the block of a page that begins so.
func snippetOf(t *testing.T, page, begin string) string {
	t.Helper()
	for _, s := range snippets(t, page) {
		if strings.HasPrefix(s.text, begin) {
			return s.text
		}
	}
	t.Fatalf("%s has no block that begins with %q", page, begin)
	return ""
}

var (
	claim = regexp.MustCompile(`^<!-- tested: (\S+) (Test\w+) -->$`)
	shown = regexp.MustCompile(`\]\(\.\./validating/[^)]+\):$`)
)

// TestEachSnippetIsClaimedByATest: a comment before the block names the test
// that runs it, or the page's own test knows it. That test exists, and it reads
// the page.
func TestEachSnippetIsClaimedByATest(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	pages = append(pages, "../../README.md", "../../internal/README.md", "../../.github/SECURITY.md")
	count := 0
	for _, page := range pages {
		for _, s := range snippets(t, page) {
			count++
			require.NoError(t, claimed(s), "%s:\n%s", page, s.text)
		}
	}
	require.Greater(t, count, 70)

	for _, wrong := range []snippet{
		{page: "run.md", text: "svcauth serve"},
		{page: "run.md", text: "svcauth serve", before: "<!-- tested: cmd/svcauth TestNothing -->"},
		{page: "security.md", text: "svcauth serve", before: "<!-- tested: deploy/docs TestTheProxiesOfThePage -->"},
		{page: "run.md", text: "svcauth serve", before: "<!-- run serve.sh -->"},
		{page: "clients.md", text: "curl", before: "<!-- not run here -->"},
	} {
		require.Error(t, claimed(wrong), "the check must be able to fail: %v", wrong)
	}
}

// claimed returns an error for a snippet that no test runs.
func claimed(s snippet) error {
	switch {
	case s.before == "<!-- a drawing -->":
		return nil
	case s.page == "clients.md" && (runs.MatchString(s.before+"\n") || fails.MatchString(s.before+"\n")):
		return nil // TestThePageSaysWhatItRuns, and those after it
	case s.page == "protect.md" && shown.MatchString(s.before):
		return nil // deploy/validating, TestThePageShowsTheFiles
	}
	m := claim.FindStringSubmatch(s.before)
	if m == nil {
		return fmt.Errorf("no test claims it: write <!-- tested: DIRECTORY TestName --> before it")
	}
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(m[1]), "*_test.go"))
	if err != nil {
		return err
	}
	name := filepath.Base(s.page)
	found := slices.ContainsFunc(files, func(file string) bool {
		source, err := os.ReadFile(file)
		code := string(source)
		return err == nil && strings.Contains(code, "func "+m[2]+"(t *testing.T)") &&
			(strings.Contains(code, name+`"`) || strings.Contains(code, `deploy/docs/*.md"`))
	})
	if !found {
		return fmt.Errorf("there is no %s in %s that reads %s", m[2], m[1], name)
	}
	return nil
}
