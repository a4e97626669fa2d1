// Package ginauth puts a [resourceserver.Verifier] in front of gin handlers:
//
//	router.GET("/clusters", ginauth.Require(verifier, "clusters:view"), listClusters)
//
// Checks, answers and the principal are those of package resourceserver.
package ginauth

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/resourceserver"
)

// Require returns middleware that lets a request go on only with a valid token
// that carries all of the privileges; with none, any valid token. Otherwise it
// answers as RFC 6750 §3 requires, and no further handler runs.
func Require(v *resourceserver.Verifier, privileges ...string) gin.HandlerFunc {
	return wrap(v.Require(privileges...))
}

// RequireAny is [Require] for one of the privileges.
func RequireAny(v *resourceserver.Verifier, privileges ...string) gin.HandlerFunc {
	return wrap(v.RequireAny(privileges...))
}

// PrincipalFrom returns the principal that [Require] or [RequireAny] put into the
// context of the request. [resourceserver.PrincipalFrom] finds it there too.
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
