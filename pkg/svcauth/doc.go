// Package svcauth is the vocabulary of the svcauth authorization server, and a
// client of its management API.
//
// The structs are the JSON of the API, to the letter. Beside them stand the form
// of ids and secrets, the names of the built-in privileges, the limits that the
// API states, and the revocation entry that resource servers receive. What can
// be checked without a server is checked here.
//
// [Client] calls the API. It needs an [net/http.Client] that authenticates, such
// as one whose Transport comes from package tokensource.
//
// The package brings no other module along.
package svcauth
