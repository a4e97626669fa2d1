package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	codeWord = regexp.MustCompile("`([^`\n]+)`")
	// selector is a name of a package, a type or a value, and what it has.
	selector = regexp.MustCompile(`^[a-z]\w*(/\w+)*(\.\w+)+$|^[A-Z]\w*(\.\w+)*$`)
	// camel is a name of ours that is not exported; a word in lower case may be
	// one of a protocol.
	camel = regexp.MustCompile(`^[a-z]+[A-Z]\w*$`)
)

// notOurs are words of the page that look like names of ours.
var notOurs = []string{"toYaml", "limits.max_inflight", "data/credentials", "pkg/internal"}

// TestArchitecturePageNamesWhatExists keeps README.md's walks and lists true:
// each file, folder, package and name of the code in it must be there.
func TestArchitecturePageNamesWhatExists(t *testing.T) {
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	files, folders := treeOf(t)
	declared := declaredNames(t)
	checked := 0
	for number, line := range strings.Split(string(page), "\n") {
		for _, found := range codeWord.FindAllStringSubmatch(line, -1) {
			word := found[1]
			where := fmt.Sprintf("README.md:%d: %s", number+1, word)
			switch {
			case slices.Contains(notOurs, word):
				continue
			case strings.HasSuffix(word, ".go"), strings.HasSuffix(word, ".md"), strings.HasSuffix(word, ".yaml"):
				assert.True(t, endsWith(files, word), "%s: there is no such file", where)
			case strings.Contains(word, "/") && !strings.ContainsAny(word, " .={"):
				assert.True(t, word[0] == '/' || endsWith(folders, word) || endsWith(files, word),
					"%s: there is no such folder", where)
			case selector.MatchString(word), camel.MatchString(word):
				for _, name := range strings.FieldsFunc(word, func(r rune) bool { return r == '.' || r == '/' }) {
					assert.True(t, declared[name] || endsWith(folders, name), "%s: nothing is called %s", where, name)
				}
			default:
				continue
			}
			checked++
		}
	}
	require.Greater(t, checked, 100)
}

// treeOf lists the files and folders of the repository that may be named, from
// its root.
func treeOf(t *testing.T) (files, folders []string) {
	t.Helper()
	for _, root := range []string{"cmd", "config", "deploy", "internal", "pkg"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("..", root), func(at string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := filepath.ToSlash(strings.TrimPrefix(at, ".."+string(filepath.Separator)))
			if d.IsDir() {
				folders = append(folders, name)
			} else {
				files = append(files, name)
			}
			return nil
		}))
	}
	return files, folders
}

// endsWith reports whether one of the paths ends with another one, which may
// have asterisks.
func endsWith(paths []string, end string) bool {
	parts := strings.Count(end, "/") + 1
	return slices.ContainsFunc(paths, func(p string) bool {
		all := strings.Split(p, "/")
		ok, _ := path.Match(end, path.Join(all[max(0, len(all)-parts):]...))
		return ok
	})
}

// declaredNames has what the code declares, fields included.
func declaredNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					names[n.Name.Name] = true
				case *ast.TypeSpec:
					names[n.Name.Name] = true
				case *ast.ValueSpec:
					for _, id := range n.Names {
						names[id.Name] = true
					}
				case *ast.Field:
					for _, id := range n.Names {
						names[id.Name] = true
					}
				}
				return true
			})
		}
	}
	return names
}
