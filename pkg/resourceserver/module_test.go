// Not under the race detector: other programs do the work.

//go:build !race

package resourceserver

import (
	"testing"

	"github.com/svcauth/svcauth/internal/svctest/outside"
)

// A program that imports this package, and nothing else of this module, gains
// golang-jwt and nothing else.
func TestAnOutsideModuleGainsOnlyGolangJWT(t *testing.T) {
	outside.Gains(t, `package main

import (
	"net/http"

	"github.com/svcauth/svcauth/pkg/resourceserver"
)

func main() {
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer: "https://auth.example.com", Audience: "https://api.example.com",
	})
	if err != nil {
		panic(err)
	}
	http.Handle("/", verifier.Require("clusters:view")(http.NotFoundHandler()))
}
`, "github.com/golang-jwt/jwt/v5")
}
