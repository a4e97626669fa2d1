// Package tokensource gets the access tokens with which a program calls an API.
// It asks an OAuth2 server for them with the program's own client id and secret
// (the client_credentials grant, RFC 6749 §4.4), keeps them, and renews them
// before they expire. It works with any OAuth2 server.
//
// The shortest way, with SVCAUTH_URL, SVCAUTH_CLIENT_ID and SVCAUTH_CLIENT_SECRET
// in the environment, or a profile file (see [Load]):
//
//	config, err := tokensource.FromEnvironment()
//	if err != nil { … }
//	config.Scopes = []string{"clusters:view"} // leave it out for all that the client may do
//	tokens, err := tokensource.New(config)
//	if err != nil { … }
//	defer tokens.Close()
//
//	client := &http.Client{Transport: tokens.Transport(nil)}
//	answer, err := client.Get("https://api.example.com/clusters")
//
// [Source.Transport] adds the token to each request. If the API answers 401, since
// the token was revoked, it gets a new one and sends the request once more. For a
// library that makes the calls itself there is [Source.TokenSource]; or call
// [Source.Token] for each request, which is cheap, and keep no token.
//
// What a Source does:
//   - It sends one request to the server at a time, however many callers ask. No
//     caller waits while there is a token that is still valid.
//   - It renews the token in the background at half its lifetime, after 20 minutes
//     at most, a little earlier at random. It stops if nobody has asked for the
//     token's whole lifetime, or for an hour.
//   - Each call has its own context. If one ends, the request goes on for the
//     others.
//   - It tries again after 429, 502, 503, 504 and broken connections, and honours
//     Retry-After; never after a 400 or 401.
//   - Its errors are of type [*Error] and carry the server's error and description.
//     No error's text holds a secret or a token.
//   - It reads a secret file anew for each request, so that a rotated secret needs
//     no restart.
//
// A token is opaque to its client (RFC 6749 §1.4), so a Source never looks into it.
// There are no other grants, and no refresh tokens (§4.4.3).
package tokensource
