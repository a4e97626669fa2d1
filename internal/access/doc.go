// Package access owns who exists and what they may do: organizations, members,
// roles, grants, service accounts, secrets, application keys, the catalogue and
// the audit log. Every rule about them is here and nowhere else; the management
// API, the console and the command line ask.
//
// Each method takes its caller, an [Actor], from the context ([WithActor]) and
// refuses an empty one. A method that changes something does so in one
// transaction, together with its audit event and the entries of the change log
// by which it takes effect. A refusal is audited too. When the method returns,
// this node already acts on the change.
//
// Errors are [*svcauth.Problem] if the caller can do something about them.
// Anything else is a fault (500) or [store.ErrUnavailable] (503).
//
// It refuses to know: HTTP, cookies, HTML, tokens' text, private keys.
package access
