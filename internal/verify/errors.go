package verify

import (
	"errors"
	"net/http"
	"time"
)

// The codes of an [Error]. The first three are those of RFC 6750 §3.1. They are
// described in pkg/resourceserver.
const (
	CodeInvalidRequest    = "invalid_request"
	CodeInvalidToken      = "invalid_token"
	CodeInsufficientScope = "insufficient_scope"
	CodeMissingToken      = "missing_token"
	CodeUnavailable       = "temporarily_unavailable"
)

// The causes of an [Error] that callers can test for with errors.Is.
var (
	ErrExpired = errors.New("the token has expired")
	ErrRevoked = errors.New("the token was revoked")
)

// Error is a refusal. It has the fields of pkg/resourceserver's Error, which
// are described there.
type Error struct {
	Status      int
	Code        string
	Description string
	Scope       string
	RetryAfter  time.Duration
	Scheme      string
	Nonce       string
	Cause       error
}

// Error returns the description and the cause.
func (e *Error) Error() string {
	if e.Cause != nil && !errors.Is(e.Cause, ErrExpired) && !errors.Is(e.Cause, ErrRevoked) {
		return e.Description + ": " + e.Cause.Error()
	}
	return e.Description
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// RetryAfter is sent with every 503. It is long enough not to be hammered, and
// short enough to serve again soon after the issuer does.
const RetryAfter = 5 * time.Second

// Unavailable returns the refusal of a token that can't be judged now.
func Unavailable(description string, cause error) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Description: description,
		RetryAfter: RetryAfter, Cause: cause}
}

// Revoked returns the refusal of a token that was revoked.
func Revoked() *Error {
	e := invalidToken("the token was revoked; ask for a new one")
	e.Cause = ErrRevoked
	return e
}

func expired() *Error {
	e := invalidToken("the token has expired; ask for a new one")
	e.Cause = ErrExpired
	return e
}

func invalidToken(description string) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: CodeInvalidToken, Description: description}
}
