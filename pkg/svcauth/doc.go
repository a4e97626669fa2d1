// Package svcauth is the vocabulary of svcauth: the nouns that its management API speaks, the form of its ids and
// secrets, the privileges it has built in, the revocation entry that travels to resource servers, and [Client], which
// calls the management API.
//
// It owns: names, shapes (the structs are the JSON of the API, to the letter) and the checks that need no server.
// It refuses to know: how anything is stored, who may do what, how a token is signed. It imports the standard library only.
package svcauth
