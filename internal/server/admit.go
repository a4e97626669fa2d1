package server

import (
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/request"
)

// admit refuses what may not come from whom it comes from or where it comes in.
func (s *Server) admit(c *gin.Context) {
	var fault request.Fault
	switch {
	case !request.Of(c).Proxied && s.hasProxyField(c):
		fault = request.ProxyField
	case forBrowsers(c.Request.URL.Path) && request.MutualTLS(c.Request.Context()):
		fault = request.NotFound
	default:
		return
	}
	defer endUnread(c)
	passOver(c)
	s.refuse(c, fault, nil)
	c.Abort()
}

func (s *Server) hasProxyField(c *gin.Context) bool {
	for _, name := range s.cfg.ProxyFields {
		if _, ok := c.Request.Header[name]; ok {
			return true
		}
	}
	return false
}

// forBrowsers reports whether a path is the console's. The listener that asks
// for a certificate does not serve it: it may be open to others than the main
// one, and browsers would ask people which certificate to show.
func forBrowsers(path string) bool {
	return path == "/console" || strings.HasPrefix(path, "/console/")
}
