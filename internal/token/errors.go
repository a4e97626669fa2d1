package token

import (
	"fmt"
	"time"
)

// The error codes of RFC 6749 §5.2, and of the RFCs named, that this server sends.
const (
	CodeInvalidRequest       = "invalid_request"
	CodeInvalidClient        = "invalid_client"
	CodeInvalidGrant         = "invalid_grant"
	CodeUnauthorizedClient   = "unauthorized_client"
	CodeUnsupportedGrantType = "unsupported_grant_type"
	CodeInvalidScope         = "invalid_scope"
	CodeInvalidTarget        = "invalid_target" // RFC 8707 §2
	CodeInvalidToken         = "invalid_token"  // RFC 6750 §3.1
	CodeInsufficientScope    = "insufficient_scope"
	CodeSlowDown             = "too_many_requests"       // 429: no RFC names one
	CodeUnavailable          = "temporarily_unavailable" // RFC 6749 §4.1.2.1; here with 503
	CodeServerError          = "server_error"
)

// Error is a refusal. Description goes to the caller; Reason, a word from a closed list, to the log and the metrics, and may say what the
// caller must not learn.
type Error struct {
	Code        string
	Status      int
	Description string
	Reason      string
	RetryAfter  time.Duration
	Cause       error // for the log; nil unless something here is at fault
}

// Error gives the description.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Refuse makes a refusal with the status that belongs to the code.
func Refuse(code, reason, format string, args ...any) *Error {
	status := 400
	switch code {
	case CodeInvalidClient, CodeInvalidToken:
		status = 401
	case CodeInsufficientScope:
		status = 403
	case CodeSlowDown:
		status = 429
	case CodeUnavailable:
		status = 503
	case CodeServerError:
		status = 500
	}
	return &Error{Code: code, Status: status, Reason: reason, Description: fmt.Sprintf(format, args...)}
}

// badCredential is the one answer to an unknown, removed and wrong credential alike.
func badCredential(reason string) *Error {
	return Refuse(CodeInvalidClient, reason, "client authentication failed: the client is unknown, or the secret is wrong, removed or expired")
}

func unavailable(cause error) *Error {
	e := Refuse(CodeUnavailable, "unavailable", "the server can't reach its database; try again in a moment")
	e.RetryAfter, e.Cause = time.Second, cause
	return e
}

func fault(cause error) *Error {
	e := Refuse(CodeServerError, "fault", "the server failed; the request id says which line of its log tells why")
	e.Cause = cause
	return e
}
