package guide

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// render returns the page's content as HTML.
func (s source) render() (rendered, error) {
	raw, err := s.text()
	if err != nil {
		return rendered{}, err
	}
	if s.plain {
		return rendered{source: s, title: s.label, body: fmt.Sprintf("<h1>%s</h1>\n<p><code>%s</code></p>\n%s",
			template.HTMLEscapeString(s.label), template.HTMLEscapeString(s.file), block(string(raw)))}, nil
	}
	m := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(writer{}, 100))))
	context := parser.NewContext(parser.WithIDs(&names{used: map[string]int{}}))
	document := m.Parser().Parse(text.NewReader(raw), parser.WithContext(context))
	r := rendered{source: s}
	if err := r.rewrite(document, raw); err != nil {
		return rendered{}, err
	}
	if r.title == "" {
		return rendered{}, errors.New("it has no heading")
	}
	var out bytes.Buffer
	if err := m.Renderer().Render(&out, raw, document); err != nil {
		return rendered{}, err
	}
	// A corner of a table that is empty is the header of nothing.
	r.body = strings.ReplaceAll(out.String(), "<th></th>", "<td></td>")
	return r, nil
}

// rewrite notes the page's headings and has its links lead to pages. A link to
// a file of the repository that is no page becomes its text and its path.
func (r *rendered) rewrite(document ast.Node, raw []byte) error {
	var links []*ast.Link
	err := ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			words := wordsOf(n, raw)
			if n.Level == 1 && r.title == "" {
				r.title = words
			}
			if id, ok := n.AttributeString("id"); ok && n.Level == 2 {
				r.sections = append(r.sections, Section{string(id.([]byte)), words})
			}
		case *ast.Link:
			links = append(links, n)
		case *ast.Image:
			return ast.WalkStop, errors.New("it has an image, which nothing serves")
		}
		return ast.WalkContinue, nil
	})
	for _, l := range links {
		href, file := r.target(string(l.Destination))
		if href != "" {
			l.Destination = []byte(href)
			continue
		}
		shown := ast.NewString([]byte("<code>" + template.HTMLEscapeString(file) + "</code>"))
		shown.SetCode(true) // written as it is
		parent := l.Parent()
		if words := wordsOf(l, raw); words != file {
			for child := l.FirstChild(); child != nil; {
				next := child.NextSibling()
				parent.InsertBefore(parent, l, child)
				child = next
			}
			parent.InsertBefore(parent, l, ast.NewString([]byte(" (")))
			parent.InsertBefore(parent, l, shown)
			parent.InsertBefore(parent, l, ast.NewString([]byte(")")))
			parent.RemoveChild(parent, l)
			continue
		}
		parent.ReplaceChild(parent, l, shown)
	}
	return err
}

// wordsOf returns the text of a node without its marks.
func wordsOf(n ast.Node, raw []byte) string {
	var out strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			switch n := n.(type) {
			case *ast.Text:
				out.Write(n.Value(raw))
			case *ast.String:
				out.Write(n.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return out.String()
}

// names gives headings the names by which GitHub links them, so that a link
// leads to the same place here and there.
type names struct{ used map[string]int }

// Generate implements [parser.IDs].
func (n *names) Generate(value []byte, _ ast.NodeKind) []byte {
	name := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, string(value))
	n.used[name]++
	if again := n.used[name]; again > 1 {
		name = fmt.Sprintf("%s-%d", name, again-1)
	}
	return []byte(name)
}

// Put implements [parser.IDs].
func (n *names) Put(value []byte) { n.used[string(value)]++ }

// writer writes what is to look otherwise than the library has it: headings
// with a link to themselves, and tables and blocks that scroll by themselves,
// with the keyboard too. It leaves out raw HTML: the pages hold comments only.
type writer struct{}

// RegisterFuncs implements [renderer.NodeRenderer].
func (writer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	nothing := func(util.BufWriter, []byte, ast.Node, bool) (ast.WalkStatus, error) { return ast.WalkSkipChildren, nil }
	r.Register(ast.KindHTMLBlock, nothing)
	r.Register(ast.KindRawHTML, nothing)
	r.Register(ast.KindHeading, heading)
	r.Register(ast.KindCodeBlock, code)
	r.Register(ast.KindFencedCodeBlock, code)
	r.Register(extast.KindTable, table)
}

func heading(w util.BufWriter, raw []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.Heading)
	id, _ := n.AttributeString("id")
	name, _ := id.([]byte)
	if entering {
		_, _ = fmt.Fprintf(w, "<h%d id=%q>", n.Level, name)
		return ast.WalkContinue, nil
	}
	if n.Level > 1 {
		_, _ = fmt.Fprintf(w, ` <a class="anchor" href="#%s" aria-label="Link to %s">#</a>`, name,
			template.HTMLEscapeString(wordsOf(n, raw)))
	}
	_, _ = fmt.Fprintf(w, "</h%d>\n", n.Level)
	return ast.WalkContinue, nil
}

func code(w util.BufWriter, raw []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString(block(string(node.Lines().Value(raw))))
	}
	return ast.WalkSkipChildren, nil
}

// block returns a block of code.
func block(text string) string {
	return `<pre tabindex="0"><code>` + template.HTMLEscapeString(text) + "</code></pre>\n"
}

func table(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString(`<div class="table" tabindex="0" role="group" aria-label="Table"><table>` + "\n")
	} else {
		_, _ = w.WriteString("</table></div>\n")
	}
	return ast.WalkContinue, nil
}
