package resourceserver

import (
	"time"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/verify"
)

// The codes of [Error]. The first three are those of RFC 6750 §3.1.
const (
	// 400: the request sends its token in a way that can't be read.
	CodeInvalidRequest = verify.CodeInvalidRequest
	// 401: the token is malformed, forged, expired, revoked or for another
	// audience.
	CodeInvalidToken      = verify.CodeInvalidToken
	CodeInsufficientScope = verify.CodeInsufficientScope // 403: the token lacks a privilege
	CodeMissingToken      = verify.CodeMissingToken      // 401 without an error code: no token was sent
	// 401, of a token that is bound to a key (RFC 9449 §7.1): its proof is
	// missing or wrong, or must have the nonce that comes with the answer.
	CodeInvalidProof = dpop.CodeInvalidProof
	CodeUseNonce     = dpop.CodeUseNonce
	// 503: keys or revocations are unavailable, so no token can be accepted.
	CodeUnavailable = verify.CodeUnavailable
)

// The causes of an [Error] that callers can test for with errors.Is.
var (
	ErrExpired = verify.ErrExpired // the token has expired
	ErrRevoked = verify.ErrRevoked // the token was revoked
)

// Error is a refusal. Every error of [Verifier.Verify] and
// [Verifier.Authenticate] is one; use errors.As.
type Error struct {
	Status int    // HTTP status
	Code   string // one of the codes above
	// Description says what was wrong and what was expected. It is safe to show
	// to the caller and never contains a part of the token.
	Description string
	Scope       string        // with CodeInsufficientScope: the privileges that the request needs
	RetryAfter  time.Duration // with CodeUnavailable: when to ask again
	Scheme      string        // of the challenge, if it is not Bearer: DPoP
	Nonce       string        // to be sent as DPoP-Nonce; may be empty
	Cause       error         // the underlying error, for logs; may be nil
}

// Error returns the description and the cause.
func (e *Error) Error() string { return (*verify.Error)(e).Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

func unavailable(description string, cause error) *Error {
	return (*Error)(verify.Unavailable(description, cause))
}
