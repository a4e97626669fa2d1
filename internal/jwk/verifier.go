package jwk

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// Verifier is a public key of somebody else, parsed, with what it may check
// signatures of. It is immutable.
type Verifier struct {
	Key        crypto.PublicKey
	Algorithms []string // at least one
	Kid        string   // may be empty
	Thumbprint string   // RFC 7638
}

// Algorithms returns the algorithms that a key may be used with (RFC 7518 §3.1,
// RFC 8037 §3.1, RFC 9864 §2.2), and nil if there is none. The first one is
// usual. The slice must not be changed.
func Algorithms(key crypto.PublicKey) []string {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return withP256
		case elliptic.P384():
			return withP384
		case elliptic.P521():
			return withP521
		}
	case *rsa.PublicKey:
		return withRSA
	case ed25519.PublicKey:
		return withEd25519
	}
	return nil
}

// Costly reports whether a signature costs several times as much to check with
// a key as with the usual ones: on P-384 nine times as much as on P-256, on
// P-521 twenty times.
func Costly(key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return k.Curve != elliptic.P256()
	case *rsa.PublicKey:
		return k.N.BitLen() > usualRSABits || k.E > usualExponent
	}
	return false
}

// AllAlgorithms returns each algorithm that [Algorithms] has for some key, in
// an order for people. The slice is the caller's.
func AllAlgorithms() []string {
	return slices.Concat(withP256, withP384, withP521, withEd25519, withRSA)
}

var (
	withP256    = []string{ES256}
	withP384    = []string{"ES384"}
	withP521    = []string{"ES512"}
	withEd25519 = []string{EdDSA, Ed25519}
	withRSA     = []string{RS256, "RS384", "RS512", "PS256", "PS384", "PS512"}
)

// uses are what a key that checks signatures says of its use (RFC 7517 §4.2).
// The last one is what the keys of a SPIFFE trust domain say (SPIFFE Trust
// Domain and Bundle §4.2.2).
var uses = []string{"", "sig", "jwt-svid"}

// Verifier parses the key. It refuses keys that are not for checking
// signatures, and types, sizes and algorithms that [Algorithms] does not have.
// If the key names its algorithm, that is its only one (RFC 7517 §4.4).
func (k *Key) Verifier() (v Verifier, err error) {
	if !slices.Contains(uses, k.Use) || k.Ops != nil && !slices.Contains(k.Ops, "verify") {
		return Verifier{}, errors.New("not a key for checking signatures")
	}
	if v.Key, err = k.public(); err != nil {
		return Verifier{}, err
	}
	if len(k.Kid) > MaxKidSize {
		return Verifier{}, fmt.Errorf("a key whose kid is longer than %d characters", MaxKidSize)
	}
	v.Kid = k.Kid
	if v.Algorithms, err = k.algorithms(Algorithms(v.Key)); err != nil {
		return Verifier{}, err
	}
	v.Thumbprint, err = k.Thumbprint()
	return v, err
}

// curves are those of RFC 7518 §6.2.1.1.
var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// public parses the key by its type and curve (RFC 7518 §6.1, RFC 8037 §2).
func (k *Key) public() (crypto.PublicKey, error) {
	curve := curves[k.Crv]
	switch {
	case k.Kty == "EC" && curve != nil:
		return k.ecdsa(curve)
	case k.Kty == "RSA":
		return k.rsa()
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		return k.ed25519()
	}
	return nil, errors.New("a kind of key that is not used here; expected RSA, P-256, P-384, P-521 or Ed25519")
}

// algorithms returns those of the algorithms of its kind that the key may be
// used with. Ed25519 has two names, and a key with either of them takes both
// (RFC 9864 §2.2).
func (k *Key) algorithms(ofKind []string) ([]string, error) {
	switch {
	case k.Alg == "" || slices.Contains(withEd25519, k.Alg) && slices.Contains(ofKind, EdDSA):
		return ofKind, nil
	case slices.Contains(ofKind, k.Alg):
		return []string{k.Alg}, nil
	}
	return nil, fmt.Errorf("a key for algorithm %.20q", k.Alg)
}

// Fits reports whether the key may have made a signature with an algorithm. kid
// is the header's. It is the key's own id or thumbprint, or empty.
func (v *Verifier) Fits(alg, kid string) bool {
	return slices.Contains(v.Algorithms, alg) && (kid == "" || kid == v.Kid || kid == v.Thumbprint)
}

// ParseVerifiers reads a key set with at most most keys. It skips keys that
// [Parse] refuses (RFC 7517 §5), such as private ones: whose private part can
// be read by anybody proves nothing. Of two keys with the same id it takes the
// first. A set without a usable key is an error, so that a broken answer
// doesn't replace a good one.
func ParseVerifiers(body []byte, most int) (all []Verifier, err error) {
	keys, err := members(body, most)
	if err != nil {
		return nil, err
	}
	var last error
	for _, raw := range keys {
		_, v, err := Parse(raw)
		switch {
		case err != nil:
			last = err
		case v.Kid == "" || !slices.ContainsFunc(all, func(other Verifier) bool { return other.Kid == v.Kid }):
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return nil, errors.Join(errors.New("the JWKS has no usable key: expected one of P-256, P-384, P-521, RSA of "+
			"2048 to 8192 bits or Ed25519"), last)
	}
	return all, nil
}

const maxMembers = 24

// known are the members of a key whose meaning matters here.
var known = []string{"kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi",
	"oth", "k", "priv"}

// private are the members of a private or a symmetric key (RFC 7518 §6.2.2,
// §6.3.2 and §6.4, RFC 8037 §2, and what post-quantum keys have).
var private = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// Parse reads one public key that somebody registers. It refuses a private key
// and names the member that makes it one, a symmetric key, a repeated member
// and whatever [Key.Verifier] refuses. It drops other members, such as x5c. An
// error is for the sender, and begins with a noun. It never has a value.
func Parse(raw []byte) (k Key, v Verifier, err error) {
	found := ""
	err = untrusted.Members(raw, known, maxMembers, func(name string, _ []byte) error {
		if found == "" && slices.Contains(private, name) {
			found = name
		}
		return nil
	})
	switch {
	case err != nil:
		return Key{}, Verifier{}, fmt.Errorf("a JWK that can't be read: %w", err)
	case found == "k":
		return Key{}, Verifier{}, errors.New("a symmetric key, with the member k: whoever checks with it can sign " +
			"with it, too; send the public key of a pair, and make a new secret if this one is in use")
	case found != "":
		return Key{}, Verifier{}, fmt.Errorf("a private key, with the member %s: send only its public members, and "+
			"make a new key if this one is in use", found)
	}
	if err := json.Unmarshal(raw, &k); err != nil {
		return Key{}, Verifier{}, errors.New("a JWK that can't be read: its members kty, use, alg, kid, crv, x, y, n " +
			"and e must be strings, and key_ops a list of strings")
	}
	v, err = k.Verifier()
	return k, v, err
}
