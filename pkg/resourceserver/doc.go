// Package resourceserver validates OAuth2 access tokens in a resource server
// (an API). It accepts RFC 9068 tokens of one issuer, checks them as RFC 9068
// §4 and RFC 8725 require, and refuses requests as RFC 6750 says.
//
//	verifier, err := resourceserver.New(resourceserver.Config{
//		Issuer:   "https://auth.example.com",
//		Audience: "https://api.example.com",
//	})
//	…
//	mux.Handle("GET /clusters", verifier.Require("clusters:view")(listClusters))
//
// It works with any RFC 9068 issuer. With svcauth as the issuer it can also
// follow the revocation feed ([Feed]), so that a revoked token is refused
// within milliseconds, without a call per request.
//
// Tokens that are bound to a key (RFC 9449, DPoP) or to a client certificate
// (RFC 8705 §3) are accepted only from callers that have these. Set
// Config.ExternalURL if callers reach the API by another URL than the one that
// Audience begins with.
//
// The package fetches and refreshes the issuer's keys, checks tokens, remembers
// verified ones, keeps the set of revocations in memory, and has middleware for
// net/http. Subpackage ginauth has middleware for Gin. Subpackage redisfeed
// listens to Redis to learn of revocations sooner, and redisproofs has several
// instances remember in Redis which proofs were used.
package resourceserver
