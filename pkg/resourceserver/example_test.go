package resourceserver_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

func Example() {
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:   "https://auth.example.com",
		Audience: "https://api.example.com",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	list := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := resourceserver.PrincipalFrom(r.Context())
		fmt.Fprintf(w, "the clusters that %s may see", p.Subject)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /clusters", verifier.Require("clusters:view")(list))

	// A request without a token never reaches the handler.
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/clusters", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer realm="https://api.example.com"
}

// Behind a proxy that takes /cloud away, proofs of bound tokens (RFC 9449) are
// for the URL that callers see. Here each proof must have a nonce.
func ExampleConfig() {
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:      "https://auth.example.com",
		Audience:    "https://api.example.com",
		ExternalURL: "https://api.example.com/cloud",
		ProofNonces: resourceserver.NoncesRequired,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	// What is sent by the scheme DPoP is refused by a challenge of that scheme.
	api := verifier.Require()(http.NotFoundHandler())
	r := httptest.NewRequest("GET", "/clusters", nil)
	r.Header.Set("Authorization", "DPoP no-token")
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	scheme, _, _ := strings.Cut(w.Header().Get("WWW-Authenticate"), " ")
	fmt.Println(w.Code, scheme)
	// Output: 401 DPoP
}

// A resource server that follows the revocation feed is a client of the issuer
// itself, with the privilege tokens:introspect.
func ExampleFeed() {
	const issuer = "https://auth.example.com"
	source, err := tokensource.New(tokensource.Config{
		Issuer:       issuer,
		ClientID:     "sa_01h455vb4pex5vsknk084sn02q",
		ClientSecret: "the-secret",
		Resource:     []string{issuer}, // the feed is the issuer's own
	})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:   issuer,
		Audience: "https://api.example.com",
		Feed:     &resourceserver.Feed{Token: source.BearerToken, Drop: source.Drop},
		OnStale:  resourceserver.Introspect,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()
	// Every token is now checked against what the issuer has revoked.
}

// An API whose tokens have typ JWT, since the gateway before it, or another
// library beside it, takes no other, says so. The privileges are found in
// whichever claim they are.
func ExampleConfig_acceptTypJWT() {
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:       "https://auth.example.com",
		Audience:     "https://orders.example.com",
		AcceptTypJWT: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	w := httptest.NewRecorder()
	verifier.Require("orders:view")(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/orders", nil))
	fmt.Println(w.Code)
	// Output: 401
}
