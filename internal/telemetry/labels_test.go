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
