package resourceserver

import (
	"testing"
	"time"
)

// For the tests from outside, which try each middleware, and so import ginauth.
var (
	NewSigner  = newSigner
	VerifierOf = verifierOf
)

const (
	TestIssuer   = testIssuer
	TestAudience = testAudience
)

// Token returns a token with the claims of a good one, after changes.
func (s *signer) Token(t testing.TB, changes map[string]any) string {
	return s.token(t, claims(time.Now(), changes), nil)
}
