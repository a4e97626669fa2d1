package server

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// crossOrigin decides which pages of other origins may read which answers (the
// CORS protocol, WHATWG Fetch §3.3). Credentials are never allowed: the
// endpoints named here take no cookie.
type crossOrigin struct {
	public  map[string]bool // paths that any page may read
	clients map[string]bool // paths that the pages of some origins may use
	origins []string
}

func newCrossOrigin(origins, public, clients []string) *crossOrigin {
	o := &crossOrigin{origins: origins, public: map[string]bool{}, clients: map[string]bool{}}
	for _, path := range public {
		o.public[path] = true
	}
	for _, path := range clients {
		o.clients[path] = true
	}
	return o
}

// share lets pages read what they may, refusals too. It answers a browser that
// asks before it sends (§3.3.5). A page that is not allowed gets the answer
// without these headers.
func (o *crossOrigin) share(c *gin.Context) {
	switch path := c.Request.URL.Path; {
	case o.public[path]:
		c.Header("Access-Control-Allow-Origin", "*")
		o.preflight(c, "GET, HEAD", "If-None-Match")
	case len(o.origins) > 0 && o.clients[path]:
		c.Writer.Header().Add("Vary", "Origin")
		if origin := c.GetHeader("Origin"); slices.Contains(o.origins, origin) {
			c.Header("Access-Control-Allow-Origin", origin)
			c.Header("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce, Retry-After, X-Request-Id")
			o.preflight(c, "POST", "Authorization, Content-Type, DPoP")
		}
	}
}

func (o *crossOrigin) preflight(c *gin.Context, methods, headers string) {
	if c.Request.Method != http.MethodOptions || c.GetHeader("Access-Control-Request-Method") == "" {
		return
	}
	c.Header("Access-Control-Allow-Methods", methods)
	c.Header("Access-Control-Allow-Headers", headers)
	c.Header("Access-Control-Max-Age", "600")
	c.Writer.WriteHeader(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	c.Abort()
}
