package ginauth_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/resourceserver/ginauth"
)

func ExampleRequire() {
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:   "https://auth.example.com",
		Audience: "https://api.example.com",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.GET("/clusters", ginauth.Require(verifier, "clusters:view"), func(c *gin.Context) {
		p, _ := ginauth.PrincipalFrom(c)
		c.String(http.StatusOK, "the clusters that %s may see", p.Subject)
	})

	// A request without a token never reaches the handler.
	w := httptest.NewRecorder()
	router.ServeHTTP(w, httptest.NewRequest("GET", "/clusters", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer realm="https://api.example.com"
}
