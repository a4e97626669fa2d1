// Package ginauth puts a [resourceserver.Verifier] in front of gin handlers:
//
//	router.GET("/clusters", ginauth.Require(verifier, "clusters:view"), listClusters)
//
// It owns nothing but that: checks, answers and the principal are those of package resourceserver, for net/http and gin alike.
package ginauth

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/resourceserver"
)

// Require lets a request go on only with a valid token that carries every one of the privileges (none: any valid token). Else it answers as
// RFC 6750 §3 asks, and no further handler runs.
func Require(v *resourceserver.Verifier, privileges ...string) gin.HandlerFunc {
	return wrap(v.Require(privileges...))
}

// RequireAny is [Require] for one of the privileges.
func RequireAny(v *resourceserver.Verifier, privileges ...string) gin.HandlerFunc {
	return wrap(v.RequireAny(privileges...))
}

// PrincipalFrom gives who makes the request, where [Require] or [RequireAny] has let it pass. The request's own context has it too:
// see [resourceserver.PrincipalFrom].
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
