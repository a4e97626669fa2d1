// Command go is an API that takes svcauth's tokens with pkg/resourceserver.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/svcauth/svcauth/pkg/resourceserver"
)

func main() {
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:   os.Getenv("ISSUER"),   // https://auth.example.com
		Audience: os.Getenv("AUDIENCE"), // https://api.cloud.example
		// Feed: live revocation; see "Live revocation".
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := resourceserver.PrincipalFrom(r.Context())
		_, _ = fmt.Fprintln(w, "hello", caller.Subject)
	})
	http.Handle("/", verifier.Require("clusters:view")(hello))
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), nil))
}
