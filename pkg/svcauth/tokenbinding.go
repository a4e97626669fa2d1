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

// StricterTokenBinding reports whether next demands something of tokens that
// old did not: there may be tokens that lack it.
func StricterTokenBinding(old, next string) bool {
	bound := slices.Index(TokenBindings(), old) > 0
	return next != old && next != TokenBindingNone && (next != TokenBindingAny || !bound)
}

// BoundAs reports whether a token is bound as binding demands. key says that it
// is bound to a key (jkt, RFC 9449 §6.1), certificate that it is bound to a
// certificate (x5t#S256, RFC 8705 §3.1). No token is bound in a way that is not
// known.
func BoundAs(binding string, key, certificate bool) bool {
	switch binding {
	case "", TokenBindingNone:
		return true
	case TokenBindingAny:
		return key || certificate
	case TokenBindingDPoP:
		return key
	case TokenBindingMTLS:
		return certificate
	}
	return false
}
