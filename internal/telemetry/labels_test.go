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
	var files []*ast.File
	for _, pattern := range []string{"../clientauth/*.go", "../token/*.go", "../oauth/*.go"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range found {
			if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "oauth/feed.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			files = append(files, file)
		}
	}
	at := map[string]int{"New": 1} // oautherr.New, and each function that has a parameter reason
	for _, file := range files {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				if i := slices.Index(parameters(f), "reason"); i >= 0 {
					at[f.Name.Name] = i
				}
			}
		}
	}
	checked := 0
	literal := func(e ast.Expr) {
		if word, ok := e.(*ast.BasicLit); ok && word.Kind == token.STRING {
			plain, err := strconv.Unquote(word.Value)
			require.NoError(t, err)
			require.Contains(t, reasons, plain)
			checked++
		}
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Reason" {
					literal(n.Value)
				}
			case *ast.CallExpr:
				if i, ok := at[called(n)]; ok && i < len(n.Args) {
					literal(n.Args[i])
				}
			}
			return true
		})
	}
	require.Greater(t, checked, 40)
}

// parameters returns the names of a function's parameters.
func parameters(f *ast.FuncDecl) (names []string) {
	for _, field := range f.Type.Params.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return names
}

// called returns the name of the function that is called: of a package's New,
// oautherr's alone.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); f.Sel.Name != "New" || ok && x.Name == "oautherr" {
			return f.Sel.Name
		}
	}
	return ""
}
