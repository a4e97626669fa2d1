package resourceserver_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/svcauth/svcauth/internal/svctest/standin"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

const clustersAPI = "https://api.example.com"

// Protect an API: a request passes only with a valid token that carries the
// privilege.
func Example() {
	issuer := standin.NewIssuer()
	defer issuer.Close()

	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:   issuer.URL, // such as https://auth.example.com
		Audience: clustersAPI,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()

	mux := http.NewServeMux()
	mux.Handle("GET /clusters", verifier.Require("clusters:view")(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			caller, _ := resourceserver.PrincipalFrom(r.Context())
			_, _ = fmt.Fprintf(w, "clusters of %s", caller.Subject)
		})))
	api := httptest.NewServer(mux)
	defer api.Close()

	for _, scope := range []string{"clusters:view", "clusters:edit"} {
		req, _ := http.NewRequest(http.MethodGet, api.URL+"/clusters", nil)
		req.Header.Set("Authorization", "Bearer "+issuer.Token("sa_ci", clustersAPI, scope))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			fmt.Println(resp.StatusCode, string(body))
		} else {
			fmt.Println(resp.StatusCode, resp.Header.Get("WWW-Authenticate") != "")
		}
	}
	// Output:
	// 200 clusters of sa_ci
	// 403 true
}

// Check a token that did not come by HTTP.
func ExampleVerifier_Verify() {
	issuer := standin.NewIssuer()
	defer issuer.Close()
	verifier, err := resourceserver.New(resourceserver.Config{Issuer: issuer.URL, Audience: clustersAPI})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	caller, err := verifier.Verify(ctx, issuer.Token("sa_ci", clustersAPI, "clusters:view"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(caller.Subject, caller.Has("clusters:view"), caller.Has("clusters:edit"))

	_, err = verifier.Verify(ctx, issuer.Token("sa_ci", "https://another-api.example.com", "clusters:view"))
	fmt.Println(err != nil)
	// Output:
	// sa_ci true false
	// true
}

// Refuse revoked tokens within milliseconds: follow the issuer's feed with an
// account of the API's own, which holds tokens:introspect.
func ExampleFeed() {
	const issuer = "https://auth.example.com"
	source, err := tokensource.New(tokensource.Config{
		Issuer:           issuer,
		ClientID:         "sa_01h455vb4pex5vsknk084sn02q",
		ClientSecretFile: "/run/secrets/svcauth",
		Resource:         []string{issuer}, // the feed is the issuer's own
		Scopes:           []string{svcauth.TokensIntrospect},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()

	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:   issuer,
		Audience: clustersAPI,
		Feed:     &resourceserver.Feed{Token: source.BearerToken, Drop: source.Drop},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()
}
