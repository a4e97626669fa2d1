// Package resourceserver validates OAuth2 access tokens in a resource server (an API): RFC 9068 tokens of one issuer, checked as
// RFC 9068 §4 and RFC 8725 ask, refused as RFC 6750 says.
//
//	verifier, err := resourceserver.New(resourceserver.Config{
//		Issuer:   "https://auth.example.com",
//		Audience: "https://api.example.com",
//	})
//	…
//	mux.Handle("GET /clusters", verifier.Require("clusters:view")(listClusters))
//
// It works with any RFC 9068 issuer. With svcauth as the issuer it also follows the revocation feed ([Feed]), so that a revoked token is
// refused at once and without a call per request.
//
// It owns: keys (discovery, fetch, refresh), the checks, the memory of verified tokens, the set of live revocations, the middleware
// for net/http. It refuses to know: how tokens are made or obtained, other web frameworks (see the subpackage ginauth), Redis (see the
// subpackage redisfeed). It imports the standard library, golang-jwt (signatures) and the vocabulary pkg/svcauth.
package resourceserver
