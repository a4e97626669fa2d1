package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// heads answers HEAD as GET, whatever the path (RFC 9110 §9.1, §9.3.2):
// monitors and load balancers ask so. net/http leaves the body out.
func heads(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(context.WithValue(r.Context(), headKey{}, true))
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

type headKey struct{}

// isHead reports whether the caller wants the header alone.
func isHead(r *http.Request) bool {
	head, _ := r.Context().Value(headKey{}).(bool)
	return head
}

// methodOf returns the method that the caller sent.
func methodOf(r *http.Request) string {
	if isHead(r) {
		return http.MethodHead
	}
	return r.Method
}

// allowHead completes the Allow header of a 405: where GET is answered, HEAD is
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
