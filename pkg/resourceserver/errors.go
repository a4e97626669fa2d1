package resourceserver

import (
	"time"

	"github.com/svcauth/svcauth/internal/verify"
)

// The codes of [Error]. The first three are those of RFC 6750 §3.1.
const (
	// 400: the request carries its token in a way that can't be read
	CodeInvalidRequest = verify.CodeInvalidRequest
	// 401: malformed, forged, expired, revoked or meant for somebody else
	CodeInvalidToken      = verify.CodeInvalidToken
	CodeInsufficientScope = verify.CodeInsufficientScope // 403: valid, but lacks a privilege
	CodeMissingToken      = verify.CodeMissingToken      // 401 with a bare challenge: no token was sent
	// 503: keys or revocations are unavailable, and it fails closed
	CodeUnavailable = verify.CodeUnavailable
)

// The causes by which callers may want to tell refusals apart (errors.Is).
var (
	ErrExpired = verify.ErrExpired // the token has expired
	ErrRevoked = verify.ErrRevoked // the token was revoked
)

// Error is a refusal. Every error of [Verifier.Verify] and [Verifier.Authenticate]
// is one; use errors.As.
type Error struct {
	Status int    // the HTTP status that says it
	Code   string // one of the codes above
	// what was wrong and what was expected; safe to show to the caller, never
	// holds a part of the token
	Description string
	Scope       string        // with CodeInsufficientScope: the privileges that the request needs
	RetryAfter  time.Duration // with CodeUnavailable: when to ask again
	Cause       error         // for logs; nil, or what was met underneath
}

// Error returns the description and the cause.
func (e *Error) Error() string { return (*verify.Error)(e).Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

func unavailable(description string, cause error) *Error {
	return (*Error)(verify.Unavailable(description, cause))
}
