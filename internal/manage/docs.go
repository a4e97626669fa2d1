package manage

import (
	"bytes"
	"embed"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/guide"
)

//go:embed docs
var docsFiles embed.FS

// docsPolicy lets the page load its own script, style and document, and
// nothing from anywhere else.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const htmlType = "text/html; charset=utf-8"

// pagesMark is where the page of the API's description has the links to the
// other pages.
const pagesMark = "<!-- pages -->"

// mountDocs serves the page that shows /openapi.json, and the pages of the
// guide below it. The pages are rendered when the first of them is asked for,
// since a node at rest must stay small, and are ready from then on: asking for
// one costs no work.
func mountDocs(engine *gin.Engine) error {
	routes := engine.Group("", func(c *gin.Context) {
		c.Header("Content-Security-Policy", docsPolicy)
		c.Header("Referrer-Policy", "no-referrer")
	})
	index, err := docsFiles.ReadFile("docs/index.html")
	if err != nil {
		return err
	}
	pages := sync.OnceValues(func() (map[string]document, error) { return renderDocs(index) })
	page := func(path string) {
		routes.GET(path, func(c *gin.Context) {
			all, err := pages()
			if err != nil {
				panic(err) // the frame logs it; a test renders them all
			}
			all[path].serve(c)
		})
	}
	page(docsPath)
	for _, name := range guide.Names() {
		page(docsPath + "/" + name)
	}
	for file, kind := range map[string]string{
		"/docs.css": "text/css; charset=utf-8", "/docs.js": "text/javascript; charset=utf-8",
	} {
		content, err := docsFiles.ReadFile("docs" + file)
		if err != nil {
			return err
		}
		serve(routes, docsPath+file, kind, content)
	}
	return nil
}

const docsPath = "/docs"

// renderDocs returns the pages by their paths. index is the page of the API's
// description.
func renderDocs(index []byte) (map[string]document, error) {
	links, err := guide.Links()
	if err != nil {
		return nil, err
	}
	pages, err := guide.Pages()
	if err != nil {
		return nil, err
	}
	all := map[string]document{
		docsPath: newDocument(htmlType, bytes.Replace(index, []byte(pagesMark), links, 1)),
	}
	for _, p := range pages {
		all[docsPath+"/"+p.Name] = newDocument(htmlType, p.HTML)
	}
	return all, nil
}
