package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

// The bounds of design §11. Most files are far below. Comments are wrapped at
// 80 columns: their bound leaves room for what reads worse broken.
const (
	maxFileLines      = 400
	maxFuncLines      = 80
	maxMethods        = 5
	maxCommentColumns = 100
	maxCodeColumns    = 120
	tabColumns        = 4
)

var hollowName = regexp.MustCompile(`(Manager|Helper|Util|Utils|Impl|Base)$`)

// TestCodeKeepsToTheHouse is design §11 and §3.5 for everything that is not a
// test.
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
				if i, ok := n.(*ast.InterfaceType); ok {
					assert.LessOrEqual(t, i.Methods.NumFields(), maxMethods,
						"%s: an interface that wide hides what its user needs", where(n))
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
		assert.False(t, d.Name.Name == "init" && d.Recv == nil, "%s: init runs whether anybody wants it or not",
			where(d))
		if d.Name.IsExported() && exportedReceiver(d) {
			assert.NotEmpty(t, d.Doc.Text(), "%s: %s has no doc comment", where(d), d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				assert.False(t, hollowName.MatchString(s.Name.Name), "%s: the name %s says nothing",
					where(s), s.Name.Name)
				if s.Name.IsExported() {
					assert.NotEmpty(t, d.Doc.Text()+s.Doc.Text(), "%s: %s has no doc comment", where(s), s.Name.Name)
				}
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if n.IsExported() {
						assert.NotEmpty(t, d.Doc.Text()+s.Doc.Text()+s.Comment.Text(), "%s: %s has no doc comment",
							where(s), n.Name)
					}
				}
			}
		}
	}
}

// exportedReceiver reports whether a method can be called from outside: only
// then is its comment read there.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	kind := d.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	if generic, ok := kind.(*ast.IndexExpr); ok {
		kind = generic.X
	}
	id, ok := kind.(*ast.Ident)
	return ok && id.IsExported()
}

// ownWords are words that this house once used for what the field has a word
// for, and turns that Go's documentation doesn't use, by what to say instead.
var ownWords = map[string]*regexp.Regexp{
	"notifier, to notify":         regexp.MustCompile(`(?i)\bdoorbell|\brang\b|\brung\b`),
	"subscriber, or log follower": regexp.MustCompile(`(?i)\bfollowers?\b`),
	"to release":                  regexp.MustCompile(`(?i)giveback`),
	"reports whether":             regexp.MustCompile(`\bsays? whether\b`),
	"returns":                     regexp.MustCompile(`\bgives (nil|true|false|an error)\b`),
}

// longLiteral is a line that is one string without a space, such as a key.
var longLiteral = regexp.MustCompile(`^\s*(\w+: +)?"[^" ]+"[)},]*$`)

// TestCommaOkIsOk keeps the name that Go readers expect for the second value of
// a map lookup, a type assertion and the like.
func TestCommaOkIsOk(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if !assert.NoError(t, err) {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if named := assignedNames(n); len(named) > 1 && named[len(named)-1] == "is" {
					assert.Fail(t, "comma-ok is named is", "%s: name it ok", files.Position(n.Pos()))
				}
				return true
			})
		}
	}
}

// assignedNames returns the names that a node assigns or declares together; ""
// stands for what is no plain name.
func assignedNames(n ast.Node) (names []string) {
	switch n := n.(type) {
	case *ast.AssignStmt:
		for _, left := range n.Lhs {
			id, ok := left.(*ast.Ident)
			if !ok {
				id = &ast.Ident{}
			}
			names = append(names, id.Name)
		}
	case *ast.ValueSpec:
		for _, id := range n.Names {
			names = append(names, id.Name)
		}
	}
	return names
}

// outage is how a dependency's outage could be said in other words than those
// of internal/away. What answers late in a test, or is about a value, is none.
var outage = regexp.MustCompile(`(?i)\b(database|redis|mail server|single sign-on)\b[^.;:]*` +
	`\b(is(n't| not) (available|reachable|answering)|(does not|doesn't|did not) answer\b|can't be (reached|used))|` +
	`can't (reach|use) (its|the|our)? ?(database|redis|mail server)`)

// TestOutagesAreSaidInOnePlace keeps each face from words of its own for a
// dependency that is away: a reader must not take one thing for two.
func TestOutagesAreSaidInOnePlace(t *testing.T) {
	for _, p := range packages(t) {
		if within(p.ImportPath, "internal/away", "internal/svctest", "pkg") {
			continue
		}
		for _, name := range p.GoFiles {
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if !assert.NoError(t, err) {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
					assert.NotRegexp(t, outage, text.Value, "%s: take it from internal/away", files.Position(n.Pos()))
				}
				return true
			})
		}
	}
}

// TestTextIsNarrowAndPlain is design §11 for each line of code and tests: its
// width, and its words in comments.
func TestTextIsNarrowAndPlain(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if !assert.NoError(t, err) {
				continue
			}
			whole := unbreakable(text)
			for i, line := range strings.Split(string(text), "\n") {
				checkLine(t, fmt.Sprintf("%s/%s:%d", p.ImportPath, name, i+1), line, whole[i+1])
			}
		}
	}
}

// unbreakable returns the lines of a file that can't be broken: those on which
// a raw string lies.
func unbreakable(text []byte) map[int]bool {
	files := token.NewFileSet()
	file := files.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	lines := map[int]bool{}
	for {
		pos, kind, literal := s.Scan()
		if kind == token.EOF {
			return lines
		}
		if kind == token.STRING && literal[0] == '`' {
			for i := range 1 + strings.Count(literal, "\n") {
				lines[file.Line(pos)+i] = true
			}
		}
	}
}

func checkLine(t *testing.T, where, line string, whole bool) {
	t.Helper()
	columns := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", strings.Repeat(" ", tabColumns)))
	isComment := strings.HasPrefix(strings.TrimSpace(line), "//") && !strings.HasPrefix(line, "//go:")
	switch {
	case isComment:
		assert.LessOrEqual(t, columns, maxCommentColumns, "%s: wrap comments at 80 columns", where)
		for instead, words := range ownWords {
			assert.NotRegexp(t, words, line, "%s: say %q", where, instead)
		}
	case !whole && !longLiteral.MatchString(line):
		assert.LessOrEqual(t, columns, maxCodeColumns, "%s: break the line", where)
	}
}
