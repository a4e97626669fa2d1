// Package httpx has the rules by which this module's programs call others over
// HTTP: which addresses may be trusted, when to call again, and where an
// issuer's metadata is.
//
// It owns: each of those rules, once. The public packages and the server share
// them, which is why it imports only the standard library. It refuses to know:
// what is called, and what for.
package httpx
