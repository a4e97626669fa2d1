package ginauth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/svctest/standin"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/resourceserver/ginauth"
)

// Protect the routes of a gin router, each with the privilege that it needs.
func Example() {
	const audience = "https://api.example.com"
	issuer := standin.NewIssuer()
	defer issuer.Close()
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:   issuer.URL, // such as https://auth.example.com
		Audience: audience,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()

	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.GET("/clusters", ginauth.Require(verifier, "clusters:view"), func(c *gin.Context) {
		caller, _ := ginauth.PrincipalFrom(c)
		c.String(http.StatusOK, "clusters of %s", caller.Subject)
	})

	req := httptest.NewRequest(http.MethodGet, "/clusters", nil)
	req.Header.Set("Authorization", "Bearer "+issuer.Token("sa_ci", audience, "clusters:view"))
	answer := httptest.NewRecorder()
	router.ServeHTTP(answer, req)
	fmt.Println(answer.Code, answer.Body)
	// Output: 200 clusters of sa_ci
}
