// Package tokensource gets the access tokens that a program calls an API with.
// It asks an OAuth2 server for them with the program's own credential (the
// client_credentials grant, RFC 6749 §4.4), keeps them, and renews them before
// they expire. It works with any OAuth2 server.
//
// With SVCAUTH_URL, SVCAUTH_CLIENT_ID and SVCAUTH_CLIENT_SECRET in the
// environment, or a profile file (see [Load]):
//
//	config, err := tokensource.FromEnvironment()
//	if err != nil { … }
//	config.Scopes = []string{"clusters:view"} // default: all that the client may have
//	tokens, err := tokensource.New(config)
//	if err != nil { … }
//	defer tokens.Close()
//
//	client := &http.Client{Transport: tokens.Transport(nil)}
//	answer, err := client.Get("https://api.example.com/clusters")
//
// Instead of a secret there may be, without a change to the program:
//   - a private key, with which each request is signed (private_key_jwt):
//     SVCAUTH_PRIVATE_KEY_FILE;
//   - a token that another issuer wrote, as Kubernetes and SPIFFE do:
//     SVCAUTH_ASSERTION_FILE, or SVCAUTH_ASSERTION_ENV;
//   - the token of the platform, [GitHubActions] or [HCPTerraform]: nothing but
//     SVCAUTH_CLIENT_ID;
//   - a certificate, for mutual TLS: SVCAUTH_CERT_FILE and SVCAUTH_KEY_FILE.
//
// [Source.Transport] adds the token to each request. If the API answers 401,
// because the token was revoked, it gets a new token and sends the request once
// more. [Source.TokenSource] is for libraries that make the calls themselves.
// [Source.Token] returns a token; call it for each request, which is cheap, and
// keep no token. [NewClient] returns a client of svcauth's own management API.
//
// What a Source does:
//   - It sends at most one token request at a time, however many callers ask. No
//     caller waits while there is a token that is still valid.
//   - It renews the token in the background at half its lifetime, but at the
//     latest after 20 minutes, and a little earlier at random. It stops if
//     nobody has asked for the token's whole lifetime, or for an hour.
//   - Each call has its own context. If one ends, the request goes on for the
//     other callers.
//   - It tries again after 429, 502, 503, 504 and broken connections, and
//     honours Retry-After. It never tries again after a 400 or 401.
//   - Its errors are of type [*Error], with the error code and the description
//     that the server returned. No error's text contains a secret or a token.
//   - It reads files of secrets, keys and tokens again for each request, so that
//     what was rotated needs no restart. Each attempt has a fresh assertion.
//
// A token is opaque to its client (RFC 6749 §1.4), so a Source never decodes
// it. Other grants and refresh tokens (§4.4.3) are not supported.
package tokensource
