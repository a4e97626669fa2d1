// Package oautherr owns the one error of the OAuth2 endpoints: its code, its
// HTTP status, its challenge, what the caller reads and what only the log says.
//
// The [Error] is made where the rule is, and it is written alike everywhere.
// The package refuses to know how it is written.
package oautherr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/untrusted"
)

// The error codes that this server sends: those of RFC 6749 §5.2, and of the
// RFCs named. [Lookup] says what each means.
const (
	CodeInvalidRequest       = "invalid_request"
	CodeInvalidClient        = "invalid_client"
	CodeInvalidGrant         = "invalid_grant"
	CodeUnauthorizedClient   = "unauthorized_client"
	CodeUnsupportedGrantType = "unsupported_grant_type"
	CodeInvalidScope         = "invalid_scope"
	CodeInvalidTarget        = "invalid_target"          // RFC 8707 §2
	CodeInvalidToken         = "invalid_token"           // RFC 6750 §3.1
	CodeInsufficientScope    = "insufficient_scope"      // RFC 6750 §3.1
	CodeSlowDown             = "too_many_requests"       // no RFC names one for 429
	CodeUnavailable          = "temporarily_unavailable" // RFC 6749 §4.1.2.1, here with 503
	CodeServerError          = "server_error"            // RFC 6749 §4.1.2.1, here with 500
	CodeInvalidProof         = dpop.CodeInvalidProof     // RFC 9449 §5
	CodeUseNonce             = dpop.CodeUseNonce         // RFC 9449 §8
)

// Code is what is known of an error code.
type Code struct {
	Name    string
	Status  int    // of HTTP, unless the refusal says another
	Meaning string // for whoever wrote the client, as half a sentence
}

// codes has every code that this server sends.
var codes = []Code{
	{CodeInvalidRequest, http.StatusBadRequest,
		"the form of the request is wrong; the description says what was expected"},
	{CodeInvalidClient, http.StatusUnauthorized,
		"the client is unknown, or its credential is wrong, removed or expired"},
	{CodeInvalidGrant, http.StatusBadRequest, "the token is another client's"},
	{CodeUnauthorizedClient, http.StatusBadRequest, "this client may not use this grant"},
	{CodeUnsupportedGrantType, http.StatusBadRequest, "the server does not know this grant"},
	{CodeInvalidScope, http.StatusBadRequest,
		"a privilege is not granted, or the scope is malformed or too large"},
	{CodeInvalidTarget, http.StatusBadRequest,
		"a resource is no API of the catalogue, or does not go with the scope"},
	{CodeInvalidToken, http.StatusUnauthorized,
		"the bearer token is missing, malformed, expired or revoked, or is not for this server"},
	{CodeInsufficientScope, http.StatusForbidden, "the bearer token lacks the privilege"},
	{CodeInvalidProof, http.StatusBadRequest,
		"the DPoP proof is malformed, of another request, too old, or was used before"},
	{CodeUseNonce, http.StatusBadRequest,
		"the DPoP proof needs the nonce of the header field DPoP-Nonce: make one with it, and ask again"},
	{CodeSlowDown, http.StatusTooManyRequests, "too many tries; wait as Retry-After says"},
	{CodeUnavailable, http.StatusServiceUnavailable,
		"the server is busy, or " + away.Database + "; wait as Retry-After says"},
	{CodeServerError, http.StatusInternalServerError, "the server failed; its log says why"},
}

// Lookup returns what is known of a code. It reports whether the code is one
// that this server sends.
func Lookup(name string) (code Code, ok bool) {
	for _, c := range codes {
		if c.Name == name {
			return c, true
		}
	}
	return Code{}, false
}

// Error is a refusal by an OAuth2 endpoint.
type Error struct {
	Code        string
	Status      int           // of HTTP
	Description string        // for the caller
	Challenge   string        // WWW-Authenticate; none is sent if empty
	RetryAfter  time.Duration // none is sent if zero
	Nonce       string        // DPoP-Nonce (RFC 9449 §8); none is sent if empty

	// Reason is a word from a closed list, for the log and the metrics. It may
	// say what the caller must not learn.
	Reason string
	// Detail tells the client's own organization more than the caller may
	// learn. If it is empty, the Description says all.
	Detail string
	Cause  error // for the log; nil unless the server itself is at fault
}

// Error returns the code and the description.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// BasicChallenge asks for client id and secret (RFC 7617 §2). It goes with
// every failed client authentication, whatever the client had tried (RFC 9110
// §15.5.2).
const BasicChallenge = `Basic realm="svcauth"`

// maxAttribute bounds a text within a challenge, in bytes.
const maxAttribute = 300

// BearerChallenge returns the WWW-Authenticate that asks for a bearer token,
// RFC 6750 §3. If no token came, code and description must be empty (§3.1).
// scope is what the token lacks. Empty attributes are left out.
func BearerChallenge(code, description, scope string) string {
	return Challenge("", code, description, scope)
}

// Challenge is [BearerChallenge] for another scheme: empty means Bearer. That
// of DPoP says which algorithms a proof may be signed with (RFC 9449 §7.1).
func Challenge(scheme, code, description, scope string) string {
	text := cmp.Or(scheme, "Bearer") + ` realm="svcauth"`
	for _, attribute := range [][2]string{{"error", code}, {"error_description", description}, {"scope", scope}} {
		if attribute[1] != "" {
			text += `, ` + attribute[0] + `="` + untrusted.Quotable(attribute[1], maxAttribute) + `"`
		}
	}
	if scheme == dpop.Scheme {
		text += `, algs="` + strings.Join(dpop.Algorithms(), " ") + `"`
	}
	return text
}

// New returns an error with the status and the challenge that belong to the
// code. For CodeInsufficientScope the caller sets the challenge, since it knows
// the scope.
func New(code, reason, format string, args ...any) *Error {
	e := &Error{Code: code, Status: http.StatusBadRequest, Reason: reason, Description: fmt.Sprintf(format, args...)}
	if known, ok := Lookup(code); ok {
		e.Status = known.Status
	}
	switch code {
	case CodeInvalidClient:
		e.Challenge = BasicChallenge
	case CodeInvalidToken:
		e.Challenge = BearerChallenge(code, e.Description, "")
	}
	return e
}

// Unavailable returns the error for a database that is not available.
func Unavailable(cause error) *Error {
	e := New(CodeUnavailable, "unavailable", away.Database+"; try again in a moment")
	e.RetryAfter, e.Cause = time.Second, cause
	return e
}

// ServerError returns the error for a fault of the server. The caller learns
// nothing of the cause.
func ServerError(cause error) *Error {
	e := New(CodeServerError, "fault", "the server failed; the request id says which line of its log tells why")
	e.Cause = cause
	return e
}

// From returns the [*Error] in err's tree, or else the one that tells the
// caller of a failed query: [Unavailable] if the database is away or the
// request has ended, and [ServerError] for all else.
func From(err error) *Error {
	var found *Error
	switch {
	case errors.As(err, &found):
		return found
	case errors.Is(err, store.ErrUnavailable),
		errors.Is(err, context.Canceled),
		errors.Is(err, context.DeadlineExceeded):
		return Unavailable(err)
	}
	return ServerError(err)
}
