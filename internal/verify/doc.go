// Package verify decides whether an access token is good: its form, its
// signature, its claims (RFC 9068 §4, RFC 8725) and whether it was revoked. It is
// the core of pkg/resourceserver, and the server judges its own tokens by it.
//
// It owns: what a good token looks like, the memory of tokens found good, and the
// set of live revocations. It refuses to know: where keys and revocations come
// from, and how a refusal is answered over HTTP.
package verify
