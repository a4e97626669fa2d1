package resourceserver

import (
	"errors"
	"net/http"
	"time"
)

// The codes of [Error]. The first three are those of RFC 6750 §3.1.
const (
	CodeInvalidRequest    = "invalid_request"         // 400: the request carries its token in a way that can't be read
	CodeInvalidToken      = "invalid_token"           // 401: malformed, forged, expired, revoked or meant for somebody else
	CodeInsufficientScope = "insufficient_scope"      // 403: valid, but lacks a privilege
	CodeMissingToken      = "missing_token"           // 401 with a bare challenge: no token was sent
	CodeUnavailable       = "temporarily_unavailable" // 503: keys or revocations are unavailable, and it fails closed
)

// The causes by which callers may want to tell refusals apart (errors.Is).
var (
	ErrExpired = errors.New("the token has expired")
	ErrRevoked = errors.New("the token was revoked")
)

// Error is a refusal. Every error of [Verifier.Verify] and [Verifier.Authenticate]
// is one; use errors.As.
type Error struct {
	Status      int           // the HTTP status that says it
	Code        string        // one of the codes above
	Description string        // what was wrong and what was expected; safe to show to the caller, never holds a part of the token
	Scope       string        // with CodeInsufficientScope: the privileges that the request needs
	RetryAfter  time.Duration // with CodeUnavailable: when to ask again
	Cause       error         // for logs; nil, or what was met underneath
}

// Error gives the description and the cause.
func (e *Error) Error() string {
	if e.Cause != nil && !errors.Is(e.Cause, ErrExpired) && !errors.Is(e.Cause, ErrRevoked) {
		return e.Description + ": " + e.Cause.Error()
	}
	return e.Description
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

func invalidToken(description string) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: CodeInvalidToken, Description: description}
}

func unavailable(description string, cause error) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Description: description, RetryAfter: retryAfter, Cause: cause}
}

// retryAfter goes with every 503: long enough not to be hammered, short enough
// to serve again soon after the issuer does.
const retryAfter = 5 * time.Second
