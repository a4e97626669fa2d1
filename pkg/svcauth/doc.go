// Package svcauth has the types of the svcauth authorization server's
// management API and a client for it.
//
// [Client] calls the API; begin with [NewClient]. It needs a [net/http.Client]
// that authenticates, such as one whose Transport comes from package
// tokensource. The comment of [Client] says what holds for all its methods:
// errors, retries, versions, waiting. Every error that the server returns is a
// [*Problem].
//
// The structs have exactly the JSON form that the API uses: [ServiceAccount]
// and its [SecretInfo], [Member] and its [ApplicationKey], [Role] and [Grant],
// [Organization], [AuditEvent] and so on. The doc tag of a field says what it
// holds. Tags such as maxLength are the bounds that the server holds requests
// to. The server's /openapi.json is made from the same tags.
//
// Beside them are the form of ids ([NewID]) and secrets ([Secret]), the names
// of the built-in privileges, the limits that the API enforces, and the
// [Revocation] that resource servers receive. What can be checked without a
// server is checked here, by [ValidID], [ParseSecret], [ParseEmail] and
// [CheckText].
//
// The package depends on the standard library only.
package svcauth
