// Package tokensource gives a program the access tokens with which it calls an API: it asks an OAuth2 server for them with the
// program's own client id and secret (the client_credentials grant, RFC 6749 §4.4), keeps them, and renews them before they expire.
//
// The shortest way, with SVCAUTH_URL, SVCAUTH_CLIENT_ID and SVCAUTH_CLIENT_SECRET in the environment (or a profile file, see [Load]):
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
// [Source.Transport] adds the token to each request and, where the API answers 401 (the token was revoked), asks for a new one and sends the
// request once more. Where another library does the calling, give it [Source.TokenSource], or call [Source.Token] yourself; it is cheap, so call it for
// each request and keep no token.
//
// What a Source does, so that its user need not:
//   - One request to the server at a time, however many ask. Nobody waits while a token that is still valid can be served.
//   - It renews in the background at half the token's lifetime, 20 minutes at most, a little earlier at random; and stops when nobody
//     has asked for a whole lifetime or an hour.
//   - Each call has its own context. One that ends leaves the request running for the others.
//   - Answers 429, 502, 503, 504 and broken connections are tried again, with Retry-After honoured; a 400 or 401 never is.
//   - Errors are of type [*Error] and carry the server's error and description; no error's text holds a secret or a token.
//   - A secret that lies in a file is read anew for each request, so that a rotated secret needs no restart.
//
// It owns: the life of one client's token on the side that uses it. It refuses to know: what is in a token (it is opaque to clients, RFC 6749 §1.4), any
// grant but client_credentials, refresh tokens (§4.4.3: there are none). It works with any OAuth2 server, and imports the standard library
// and golang.org/x/oauth2 beside this module's vocabulary.
package tokensource
