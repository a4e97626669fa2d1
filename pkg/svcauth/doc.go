// Package svcauth has the types of the svcauth authorization server's
// management API and a client for it.
//
// The structs have exactly the JSON form that the API uses. The doc tag of a
// field says what it holds; tags such as maxLength are the bounds that the
// server holds requests to. Its /openapi.json says the same. Beside them are the
// form of ids and secrets, the names of the built-in privileges, the limits
// that the API enforces, and the revocation entry that resource servers
// receive. What can be checked without a server is checked here.
//
// [Client] calls the API. It needs an [net/http.Client] that authenticates,
// such as one whose Transport comes from package tokensource.
//
// The package depends on the standard library only.
package svcauth
