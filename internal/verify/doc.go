// Package verify decides whether an access token is valid: its form, its
// signature, its claims (RFC 9068 §4, RFC 8725) and whether it was revoked. It
// is the core of pkg/resourceserver, and the server checks its own tokens with
// it.
//
// It owns: what a valid token looks like, the memory of verified tokens, and
// the set of revocations. It refuses to know: where keys and revocations come
// from, and how a refusal is answered over HTTP.
package verify
