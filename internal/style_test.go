package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The bounds of design §11. Most files are far below.
const (
	maxFileLines = 400
	maxFuncLines = 80
	maxMethods   = 5
)

var hollowName = regexp.MustCompile(`(Manager|Helper|Util|Utils|Impl|Base)$`)

// TestCodeKeepsToTheHouse is design §11 and §3.5 for everything that is not a test.
func TestCodeKeepsToTheHouse(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
			if !assert.NoError(t, err) {
				continue
			}
			where := func(n ast.Node) string {
				return p.ImportPath + "/" + name + ":" + strings.TrimPrefix(files.Position(n.Pos()).String(), path+":")
			}
			lines := files.File(f.Pos()).LineCount()
			assert.LessOrEqual(t, lines, maxFileLines, "%s/%s is long", p.ImportPath, name)
			for _, d := range f.Decls {
				checkDecl(t, files, d, where)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if i, is := n.(*ast.InterfaceType); is {
					assert.LessOrEqual(t, i.Methods.NumFields(), maxMethods, "%s: an interface that wide hides what its user needs", where(n))
				}
				return true
			})
		}
	}
}

func checkDecl(t *testing.T, files *token.FileSet, d ast.Decl, where func(ast.Node) string) {
	t.Helper()
	switch d := d.(type) {
	case *ast.FuncDecl:
		length := files.Position(d.End()).Line - files.Position(d.Pos()).Line
		assert.LessOrEqual(t, length, maxFuncLines, "%s: %s is long", where(d), d.Name.Name)
		assert.False(t, d.Name.Name == "init" && d.Recv == nil, "%s: init runs whether anybody wants it or not", where(d))
		if d.Name.IsExported() && exportedReceiver(d) {
			assert.NotEmpty(t, d.Doc.Text(), "%s: %s has no doc comment", where(d), d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				assert.False(t, hollowName.MatchString(s.Name.Name), "%s: the name %s says nothing", where(s), s.Name.Name)
				if s.Name.IsExported() {
					assert.NotEmpty(t, d.Doc.Text()+s.Doc.Text(), "%s: %s has no doc comment", where(s), s.Name.Name)
				}
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if n.IsExported() {
						assert.NotEmpty(t, d.Doc.Text()+s.Doc.Text()+s.Comment.Text(), "%s: %s has no doc comment", where(s), n.Name)
					}
				}
			}
		}
	}
}

// exportedReceiver says whether a method can be called from outside: only then is its comment read there.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	kind := d.Recv.List[0].Type
	if star, is := kind.(*ast.StarExpr); is {
		kind = star.X
	}
	if generic, is := kind.(*ast.IndexExpr); is {
		kind = generic.X
	}
	id, is := kind.(*ast.Ident)
	return is && id.IsExported()
}
