package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/gin-gonic/gin"
)

//go:embed static/*
var staticFiles embed.FS

// asset is a static file. Its address contains its hash: browsers keep it for
// ever and fetch a new one after an upgrade.
type asset struct {
	address     string // /console/static/console.0123456789ab.css
	contentType string
	body, small []byte // as it is, and with gzip
}

// contentTypes are those of the static files. Package mime would read the
// machine's own table, which differs and takes a megabyte.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// loadStatic returns the assets by their plain name, such as console.css.
func loadStatic() (map[string]asset, error) {
	files, err := staticFiles.ReadDir("static")
	if err != nil {
		return nil, fmt.Errorf("read the console's static files: %w", err)
	}
	all := map[string]asset{}
	for _, f := range files {
		body, err := staticFiles.ReadFile("static/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("read the console's static files: %w", err)
		}
		var small bytes.Buffer
		w, _ := gzip.NewWriterLevel(&small, gzip.BestCompression)
		_, _ = w.Write(body)
		_ = w.Close()
		sum := sha256.Sum256(body)
		ext := path.Ext(f.Name())
		if contentTypes[ext] == "" {
			return nil, fmt.Errorf("the console's static file %s has no content type", f.Name())
		}
		all[f.Name()] = asset{
			address: "/console/static/" + strings.TrimSuffix(f.Name(), ext) + "." + hex.EncodeToString(sum[:6]) +
				ext,
			contentType: contentTypes[ext],
			body:        body,
			small:       small.Bytes(),
		}
	}
	return all, nil
}

func (k *Console) serveStatic(c *gin.Context) {
	for _, a := range k.static {
		if a.address != c.Request.URL.Path {
			continue
		}
		c.Header("Cache-Control", "public, max-age=31536000, immutable")
		c.Header("Vary", "Accept-Encoding")
		body := a.body
		if strings.Contains(c.GetHeader("Accept-Encoding"), "gzip") {
			c.Header("Content-Encoding", "gzip")
			body = a.small
		}
		c.Data(http.StatusOK, a.contentType, body)
		return
	}
	k.NotFound(c)
}
