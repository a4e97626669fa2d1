package resourceserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	maxJWKSSize = 1 << 20
	// maxKeys leaves room for a later server, which may publish more.
	maxKeys    = 10 * svcauth.MaxPublishedKeys
	minRSABits = 2048 // RFC 7518 §3.3
	maxRSABits = 8192 // a bigger one would only cost us time
)

// jwk is one key of RFC 7517 §4, with those parameters of RFC 7518 §6 and RFC 8037
// §2 that a verifier needs.
type jwk struct {
	Kty string   `json:"kty"`
	Use string   `json:"use"`
	Ops []string `json:"key_ops"`
	Alg string   `json:"alg"`
	Kid string   `json:"kid"`
	Crv string   `json:"crv"`
	X   string   `json:"x"`
	Y   string   `json:"y"`
	N   string   `json:"n"`
	E   string   `json:"e"`
}

// verifyKey is a key and the one algorithm it may be used with.
type verifyKey struct {
	alg string
	key crypto.PublicKey
}

// keySet is the usable keys of a JWKS. It is never changed.
type keySet struct {
	byKID map[string]verifyKey
}

// find returns the key with that id. A token without a kid is taken for one that
// the only key signed, if there is only one.
func (s *keySet) find(kid string) (verifyKey, bool) {
	if s == nil {
		return verifyKey{}, false
	}
	if kid == "" && len(s.byKID) == 1 {
		for _, k := range s.byKID {
			return k, true
		}
	}
	k, ok := s.byKID[kid]
	return k, ok
}

// parseJWKS reads a key set. It ignores keys that are not for checking signatures
// or of a kind that is not used here (RFC 7517 §5). A set without a usable key is
// an error, so that a broken answer does not replace a good one.
func parseJWKS(body []byte) (*keySet, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("not a JWKS (RFC 7517 §5): %w", err)
	}
	if len(doc.Keys) > maxKeys {
		return nil, fmt.Errorf("the JWKS has %d keys, expected at most %d", len(doc.Keys), maxKeys)
	}
	set := &keySet{byKID: make(map[string]verifyKey, len(doc.Keys))}
	var last error
	for _, raw := range doc.Keys {
		var k jwk
		if err := json.Unmarshal(raw, &k); err != nil {
			last = err
			continue
		}
		usable, err := k.parse()
		if err != nil {
			last = err
			continue
		}
		if _, twice := set.byKID[k.Kid]; !twice && len(k.Kid) <= maxKidSize {
			set.byKID[k.Kid] = usable
		}
	}
	if len(set.byKID) == 0 {
		return nil, errors.Join(errors.New("the JWKS has no usable key: expected one of P-256 (ES256), RSA of 2048 bits or more (RS256) or Ed25519 (EdDSA)"), last)
	}
	return set, nil
}

func (k *jwk) parse() (verifyKey, error) {
	if k.Use != "" && k.Use != "sig" || k.Ops != nil && !slices.Contains(k.Ops, "verify") {
		return verifyKey{}, errors.New("not a key for checking signatures")
	}
	var alg string
	var key crypto.PublicKey
	var err error
	switch {
	case k.Kty == "EC" && k.Crv == "P-256":
		alg = "ES256"
		key, err = k.ecdsa()
	case k.Kty == "RSA":
		alg = "RS256"
		key, err = k.rsa()
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		alg = "EdDSA"
		key, err = k.ed25519()
	default:
		return verifyKey{}, errors.New("a kind of key that is not used here")
	}
	if err == nil && k.Alg != "" && k.Alg != alg && !(k.Alg == "Ed25519" && alg == "EdDSA") {
		err = fmt.Errorf("a key for algorithm %s", printable(k.Alg, 20))
	}
	return verifyKey{alg: alg, key: key}, err
}

func (k *jwk) ecdsa() (*ecdsa.PublicKey, error) {
	x, errX := strict.DecodeString(k.X)
	y, errY := strict.DecodeString(k.Y)
	if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 { // RFC 7518 §6.2.1.2: full size
		return nil, errors.New("a P-256 key without proper coordinates")
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y)) // refuses a point off the curve
}

func (k *jwk) rsa() (*rsa.PublicKey, error) {
	n, errN := strict.DecodeString(k.N)
	e, errE := strict.DecodeString(k.E)
	if errN != nil || errE != nil || len(e) == 0 || len(e) > 4 {
		return nil, errors.New("an RSA key without proper modulus and exponent")
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits || key.N.Bit(0) == 0 || key.E < 3 || key.E&1 == 0 {
		return nil, fmt.Errorf("an RSA key of %d bits; expected %d to %d and an odd exponent", bits, minRSABits, maxRSABits)
	}
	return key, nil
}

func (k *jwk) ed25519() (ed25519.PublicKey, error) {
	x, err := strict.DecodeString(k.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, errors.New("an Ed25519 key that is not 32 bytes")
	}
	return ed25519.PublicKey(x), nil
}
