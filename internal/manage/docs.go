package manage

import (
	"embed"

	"github.com/gin-gonic/gin"
)

//go:embed docs
var docsFiles embed.FS

// docsPolicy lets the page load its own script, style and document, and
// nothing from anywhere else.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// mountDocs serves the page that shows /openapi.json.
func mountDocs(engine *gin.Engine) error {
	for _, f := range []struct{ path, file, kind string }{
		{"/docs", "docs/index.html", "text/html; charset=utf-8"},
		{"/docs/docs.css", "docs/docs.css", "text/css; charset=utf-8"},
		{"/docs/docs.js", "docs/docs.js", "text/javascript; charset=utf-8"},
	} {
		content, err := docsFiles.ReadFile(f.file)
		if err != nil {
			return err
		}
		serve(engine.Group("", func(c *gin.Context) {
			c.Header("Content-Security-Policy", docsPolicy)
			c.Header("Referrer-Policy", "no-referrer")
		}), f.path, f.kind, content)
	}
	return nil
}
