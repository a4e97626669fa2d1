// Package guide renders the pages that users read as HTML, for /docs of a
// running server: those of deploy/docs, the architecture, and the two files of
// the configuration that are built in.
//
// It owns which pages there are, their order and where their links lead. It
// refuses to know HTTP, and what stands on the pages.
package guide

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"path"
	"strings"
	"sync"

	"github.com/svcauth/svcauth/config"
	"github.com/svcauth/svcauth/deploy/docs"
	"github.com/svcauth/svcauth/internal"
)

// Page is a page that is ready to be served.
type Page struct {
	Name  string // the last part of its path: /docs/NAME
	Title string
	HTML  []byte
}

// Start is the name of the page to begin with.
const Start = "start"

// source is a page as it is written.
type source struct {
	name  string
	label string // in the navigation; empty: its heading
	file  string // its path in the repository, which links go by
	text  func() ([]byte, error)
	plain bool // it is no Markdown and is shown as it is
}

// group is what one comes for, with the pages that are read then.
type group struct {
	Task  string
	pages []source
}

// groups has every page, in the order of the navigation.
var groups = []group{
	{"Begin", []source{markdown(Start), markdown("clients"), markdown("workloads"), markdown("federation"),
		markdown("protect"), markdown("gateways"), markdown("profiles")}},
	{"Manage", []source{markdown("manage"), markdown("terraform")}},
	{"Run", []source{
		markdown("run"), markdown("mtls"), markdown("bound-tokens"), markdown("operate"),
		markdown("upgrade"), markdown("versions"), markdown("backup"),
		markdown("runbook"), markdown("sizing"),
	}},
	{"Look up", []source{
		markdown("security"), markdown("reference"),
		plain("configuration", "Configuration", "config/svcauth.yaml", config.Defaults),
		plain("catalogue", "Catalogue", "config/catalog.yaml", config.Catalog),
		{name: "architecture", label: "Architecture", file: "internal/README.md", text: of(internal.Architecture)},
	}},
}

// markdown returns the page of deploy/docs with that name.
func markdown(name string) source {
	file := name + ".md"
	read := func() ([]byte, error) { return docs.Pages.ReadFile(file) }
	return source{name: name, file: "deploy/docs/" + file, text: read}
}

// plain returns a page that shows a file as it is.
func plain(name, label, file string, text []byte) source {
	return source{name: name, label: label, file: file, plain: true, text: of(text)}
}

func of(text []byte) func() ([]byte, error) { return func() ([]byte, error) { return text, nil } }

// find returns the page that shows a file of the repository.
func find(file string) (name string, ok bool) {
	if file == "README.md" { // its reader has no server yet; this one's reader has
		return Start, true
	}
	for _, g := range groups {
		for _, s := range g.pages {
			if s.file == file {
				return s.name, true
			}
		}
	}
	return "", false
}

// Names returns the names of all pages. It renders none.
func Names() (names []string) {
	for _, g := range groups {
		for _, s := range g.pages {
			names = append(names, s.name)
		}
	}
	return names
}

// Pages returns every page. They are rendered once for the whole process.
var Pages = sync.OnceValues(render)

//go:embed page.html
var layoutText string

var layout = template.Must(template.New("page").Parse(layoutText))

// Entry is a page in the navigation.
type Entry struct {
	Name, Label string
	Current     bool
	Sections    []Section // of the current page
}

// Section is a heading that is worth a line in the navigation.
type Section struct{ ID, Text string }

// Navigation is the entries of one task.
type Navigation struct {
	Task    string
	Entries []Entry
}

// rendered is a page before it is put into the layout.
type rendered struct {
	source
	title    string
	sections []Section
	body     string
}

func render() ([]Page, error) {
	var all []rendered
	for _, g := range groups {
		for _, s := range g.pages {
			r, err := s.render()
			if err != nil {
				return nil, fmt.Errorf("render the page %s: %w", s.name, err)
			}
			all = append(all, r)
		}
	}
	pages := make([]Page, 0, len(all))
	for _, r := range all {
		var out bytes.Buffer
		if err := layout.Execute(&out, map[string]any{
			"Title": r.title, "Body": template.HTML(r.body), "Navigation": navigation(all, r), //nolint:gosec // ours
		}); err != nil {
			return nil, fmt.Errorf("write the page %s: %w", r.name, err)
		}
		pages = append(pages, Page{r.name, r.title, out.Bytes()})
	}
	return pages, nil
}

// navigation returns the navigation as it is on one page.
func navigation(all []rendered, current rendered) (out []Navigation) {
	at := 0
	for _, g := range groups {
		n := Navigation{Task: g.Task}
		for range g.pages {
			r := all[at]
			at++
			e := Entry{Name: r.name, Label: r.label, Current: r.name == current.name}
			if e.Label == "" {
				e.Label = r.title
			}
			if e.Current {
				e.Sections = r.sections
			}
			n.Entries = append(n.Entries, e)
		}
		out = append(out, n)
	}
	return out
}

// Links returns the navigation for the page of the API's description, which
// lies one step above the others. It is HTML.
func Links() ([]byte, error) {
	pages, err := Pages()
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	at := 0
	for _, g := range groups {
		fmt.Fprintf(&out, "<h2>%s</h2>\n<ul>\n", template.HTMLEscapeString(g.Task))
		for _, s := range g.pages {
			label := s.label
			if label == "" {
				label = pages[at].Title
			}
			at++
			fmt.Fprintf(&out, "<li><a href=%q>%s</a></li>\n", "docs/"+s.name, template.HTMLEscapeString(label))
		}
		out.WriteString("</ul>\n")
	}
	return []byte(out.String()), nil
}

// target returns where a link from one file of the repository leads. A file
// that is no page has no address here: path is its path in the repository then.
func (s source) target(link string) (href, file string) {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "#") || strings.HasPrefix(link, "mailto:") {
		return link, ""
	}
	rest, fragment, hasFragment := strings.Cut(link, "#")
	file = path.Join(path.Dir(s.file), rest)
	name, ok := find(file)
	if !ok {
		return "", file
	}
	if hasFragment {
		name += "#" + fragment
	}
	return name, ""
}
