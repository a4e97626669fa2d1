// Package ginauth protects Gin handlers with a [resourceserver.Verifier]:
//
//	router.GET("/clusters", ginauth.Require(verifier, "clusters:view"), listClusters)
//
// Tokens are checked, and refusals answered, as by package resourceserver.
package ginauth

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/resourceserver"
)

// Require returns middleware that lets a request pass only with a valid token
// that has all of the privileges. Without privileges, any valid token passes.
// Other requests are answered as RFC 6750 §3 requires, and no further handler
// runs.
func Require(v *resourceserver.Verifier, privileges ...string) gin.HandlerFunc {
	return wrap(v.Require(privileges...))
}

// RequireAny is like [Require], but one of the privileges is enough.
func RequireAny(v *resourceserver.Verifier, privileges ...string) gin.HandlerFunc {
	return wrap(v.RequireAny(privileges...))
}

// PrincipalFrom returns the principal that [Require] or [RequireAny] put into
// the request's context. [resourceserver.PrincipalFrom] finds it there too.
func PrincipalFrom(c *gin.Context) (*resourceserver.Principal, bool) {
	return resourceserver.PrincipalFrom(c.Request.Context())
}

func wrap(guard func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed, c.Request = true, r
		})).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
			return
		}
		c.Next()
	}
}
