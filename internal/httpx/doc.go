// Package httpx holds the rules by which this module's programs call others
// over HTTP: which addresses may be trusted, when to come back, and where an
// issuer's metadata lies.
//
// It owns: each of those rules, once. The public packages and the server use
// the same ones, which is why it stands on the standard library alone.
// It refuses to know: what is called, and what for.
package httpx
