package tokensource

import (
	"testing"

	"github.com/svcauth/svcauth/internal/svctest/outside"
)

// A program that imports this package, and nothing else of this module, gains
// x/oauth2 and nothing else.
func TestAnOutsideModuleGainsOnlyOAuth2(t *testing.T) {
	outside.Gains(t, `package main

import (
	"net/http"

	"github.com/svcauth/svcauth/pkg/tokensource"
)

func main() {
	config, err := tokensource.FromEnvironment()
	if err != nil {
		panic(err)
	}
	tokens, err := tokensource.New(config)
	if err != nil {
		panic(err)
	}
	_ = http.Client{Transport: tokens.Transport(nil)}
}
`, "golang.org/x/oauth2")
}
