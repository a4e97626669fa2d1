// Package dpop checks proofs that the sender of a request has the private key
// to which its access token is bound (RFC 9449, DPoP). The server and
// pkg/resourceserver check with it. Package possession makes proofs.
//
// It owns: the form of a proof, in which order it is checked, nonces, and the
// memory of proofs that were used. It refuses to know: HTTP, whose key it is,
// and what is answered.
package dpop

import (
	"fmt"
	"time"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/possession"
)

const (
	// Header is the name of the header field with a proof, in the canonical
	// form of net/http.
	Header = possession.Header
	// NonceHeader is that of the header field with a nonce (RFC 9449 §8).
	NonceHeader = possession.NonceHeader
	// Scheme is the one of Authorization that bound tokens come with (RFC 9449
	// §7.1), and their token_type (§5).
	Scheme = possession.Scheme
)

// The codes of an [Error]: RFC 9449 §12.2, §12.3 and RFC 6750 §3.1.
const (
	CodeInvalidProof = "invalid_dpop_proof"
	CodeUseNonce     = possession.CodeUseNonce
	CodeInvalidToken = "invalid_token"
)

const (
	// MaxProof bounds a proof, in bytes, before it is looked at. It has room
	// for a key and a signature of RSA with 4,096 bits.
	MaxProof = 4 << 10
	maxJTI   = 512 // bytes

	// maxAge and maxAhead are how far from now a proof without a nonce may have
	// been made. A proof is made for its request, so that the difference is
	// that of the clocks. With a nonce no clock matters.
	maxAge   = time.Minute
	maxAhead = 10 * time.Second
)

// Algorithms returns the algorithms that a proof may be signed with, for the
// metadata: all of [jwk.AllAlgorithms], which are asymmetric. The slice must
// not be changed.
func Algorithms() []string { return algorithms }

var algorithms = jwk.AllAlgorithms()

// Error is the refusal of a proof.
type Error struct {
	Code        string
	Description string // for the caller
	// Reason is a word from a closed list, for the log.
	Reason string
	// Nonce is to be sent with the refusal, if it is not empty.
	Nonce string
}

// Error returns the description.
func (e *Error) Error() string { return e.Description }

// The reasons of an [Error].
const (
	reasonForm      = "dpop_form"      // it can't be read, or is none
	reasonTarget    = "dpop_target"    // it is for another request
	reasonTime      = "dpop_time"      // it was made too long ago, or in the future
	reasonKey       = "dpop_key"       // its key is refused, or not the token's
	reasonSignature = "dpop_signature" // it is not signed with its key
	reasonReplayed  = "dpop_replayed"  // it was used before, or may have been
	reasonNonce     = "dpop_nonce"     // it has no nonce of this server
)

func invalid(reason, format string, args ...any) *Error {
	return &Error{Code: CodeInvalidProof, Reason: reason, Description: fmt.Sprintf(format, args...)}
}
