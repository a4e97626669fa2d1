package server

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/request"
)

// heads answers HEAD as GET, whatever the path (RFC 9110 §9.1, §9.3.2), since
// monitors and load balancers send it. net/http leaves the body out.
func heads(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, request.HeadAsGet(r))
	})
}

// allowHead completes the Allow header of a 405. If GET is answered, HEAD is
// too.
func allowHead(c *gin.Context) {
	methods := strings.Split(c.Writer.Header().Get("Allow"), ", ")
	for i, method := range methods {
		switch method {
		case http.MethodHead:
			return
		case http.MethodGet:
			methods[i] = "GET, HEAD"
		}
	}
	c.Header("Allow", strings.Join(methods, ", "))
}
