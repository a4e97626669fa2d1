package token

import "github.com/svcauth/svcauth/internal/oautherr"

// Error is the error of package oautherr, for callers that still use this name.
type Error = oautherr.Error

// The codes, for the same callers.
const (
	CodeInvalidRequest    = oautherr.CodeInvalidRequest
	CodeInvalidClient     = oautherr.CodeInvalidClient
	CodeInvalidToken      = oautherr.CodeInvalidToken
	CodeInsufficientScope = oautherr.CodeInsufficientScope
	CodeSlowDown          = oautherr.CodeSlowDown
	CodeUnavailable       = oautherr.CodeUnavailable
	CodeServerError       = oautherr.CodeServerError
)

// Refuse is oautherr.New.
func Refuse(code, reason, format string, args ...any) *Error {
	return oautherr.New(code, reason, format, args...)
}
