package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	// What GitHub leaves out of the name by which a heading is linked.
	unnamed = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestEachLinkLeadsSomewhere: the pages and README.md link each other, files of
// the repository, and headings that exist.
func TestEachLinkLeadsSomewhere(t *testing.T) {
	pages := []string{"../../README.md", "../../.github/SECURITY.md", "../../.github/CHANGELOG.md",
		"../../internal/README.md", "../helm/svcauth/README.md"}
	found, err := filepath.Glob("*.md")
	require.NoError(t, err)
	pages = append(pages, found...)
	require.Greater(t, len(pages), 10)
	for _, page := range pages {
		raw, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, match := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(raw), ""), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			path, name, _ := strings.Cut(match[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			_, err := os.Stat(target)
			require.NoError(t, err, "%s links %s", page, match[1])
			if name != "" {
				require.Contains(t, names(t, target), name, "%s links %s", page, match[1])
			}
		}
	}
}

// names returns the names by which a page's headings are linked.
func names(t *testing.T, page string) (all []string) {
	t.Helper()
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(string(raw), ""), -1) {
		plain := unnamed.ReplaceAllString(strings.ToLower(match[1]), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}
