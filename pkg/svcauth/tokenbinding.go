package svcauth

import "slices"

// What the tokens of a service account must be bound to: see
// [ServiceAccount].TokenBinding.
const (
	TokenBindingNone = "none" // nothing; a DPoP proof binds if it is sent
	TokenBindingAny  = "any"  // a key (RFC 9449) or a certificate (RFC 8705 §3)
	TokenBindingDPoP = "dpop" // the key of a DPoP proof
	TokenBindingMTLS = "mtls" // the certificate that the client has shown in TLS
)

// TokenBindings returns all values, the weakest first.
func TokenBindings() []string {
	return []string{TokenBindingNone, TokenBindingAny, TokenBindingDPoP, TokenBindingMTLS}
}

// WeakerTokenBinding reports whether next asks for less than old did.
func WeakerTokenBinding(old, next string) bool {
	strength := func(b string) int { return min(slices.Index(TokenBindings(), b), 2) } // dpop and mtls are alike
	return strength(next) < strength(old)
}
