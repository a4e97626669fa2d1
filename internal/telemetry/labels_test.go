package telemetry

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryLabelIsSaidSomewhere: a value that no code says is a series that
// stays 0 for ever, and an alert on it never fires.
func TestEveryLabelIsSaidSomewhere(t *testing.T) {
	said := map[string]bool{}
	for _, root := range []string{"..", "../../pkg"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			program := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
			if err != nil || entry.IsDir() || !program || filepath.Base(path) == "labels.go" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if word, ok := n.(*ast.BasicLit); ok && word.Kind == token.STRING {
					if plain, err := strconv.Unquote(word.Value); err == nil {
						said[plain] = true
					}
				}
				return true
			})
			return nil
		}))
	}
	for _, label := range slices.Concat(outcomes, reasons, revocationKinds, caches, keyStates, queues, dependencies) {
		require.True(t, said[label], "%q", label)
	}
}

// TestEveryReasonIsExplained: an operator who meets one at night looks it up.
func TestEveryReasonIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../deploy/docs/operate.md")
	require.NoError(t, err)
	for _, reason := range reasons {
		if !slices.Contains(outcomes, reason) {
			require.Contains(t, string(page), "`"+reason+"`")
		}
	}
}

// TestEveryReasonHasItsLabel: what the token endpoint says and the list lacks
// would be counted as "other". The feed's refusals are not counted by reason.
func TestEveryReasonHasItsLabel(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../clientauth/*.go", "../token/*.go", "../oauth/*.go"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	checked := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "oauth/feed.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || f.Sel.Name != "New" {
				return true
			}
			if pkg, ok := f.X.(*ast.Ident); !ok || pkg.Name != "oautherr" {
				return true
			}
			if reason, literal := call.Args[1].(*ast.BasicLit); literal {
				plain, err := strconv.Unquote(reason.Value)
				require.NoError(t, err)
				require.Contains(t, reasons, plain, path)
				checked++
			}
			return true
		})
	}
	require.Greater(t, checked, 10)
}
