// Package jwk writes and reads public keys as JSON (RFC 7517): the keys that
// the server publishes and that resource servers check signatures with.
//
// It owns: the form of a key, which keys may be used and with which algorithm.
// It refuses to know: private keys, and where a key comes from.
package jwk

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// The algorithms that tokens are signed with (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	ES256 = "ES256"
	RS256 = "RS256"
	EdDSA = "EdDSA"
)

const (
	// MinRSABits is the minimum that RFC 7518 §3.3 requires.
	MinRSABits = 2048
	// MaxRSABits bounds the cost of checking a signature.
	MaxRSABits = 8192
)

// Key is a public key with the members of RFC 7517 §4, RFC 7518 §6 and RFC 8037
// §2.
type Key struct {
	Kty string   `json:"kty"`
	Use string   `json:"use,omitempty"`
	Ops []string `json:"key_ops,omitempty"`
	Alg string   `json:"alg,omitempty"`
	Kid string   `json:"kid,omitempty"`
	Crv string   `json:"crv,omitempty"`
	X   string   `json:"x,omitempty"`
	Y   string   `json:"y,omitempty"`
	N   string   `json:"n,omitempty"`
	E   string   `json:"e,omitempty"`
}

// New returns the key for publishing. It is for signatures with one algorithm,
// and its kid is its thumbprint (RFC 7638), which binds the name to the key.
func New(public crypto.PublicKey) (Key, error) {
	k := Key{Use: "sig"}
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		point, err := p.Bytes() // 4, x, y, in full size as RFC 7518 §6.2.1.2 requires
		if err != nil || p.Curve != elliptic.P256() {
			return Key{}, errors.New("an elliptic-curve key that is not on P-256")
		}
		k.Kty, k.Alg, k.Crv, k.X, k.Y = "EC", ES256, "P-256", encode(point[1:33]), encode(point[33:])
	case *rsa.PublicKey:
		if p.N.BitLen() < MinRSABits {
			return Key{}, fmt.Errorf("an RSA key of %d bits; expected at least %d", p.N.BitLen(), MinRSABits)
		}
		exponent := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, uint64(p.E)), "\x00")
		k.Kty, k.Alg, k.N, k.E = "RSA", RS256, encode(p.N.Bytes()), encode(exponent)
	case ed25519.PublicKey:
		k.Kty, k.Alg, k.Crv, k.X = "OKP", EdDSA, "Ed25519", encode(p)
	default:
		return Key{}, fmt.Errorf("a public key of type %T; expected P-256, RSA or Ed25519", public)
	}
	var err error
	k.Kid, err = k.Thumbprint()
	return k, err
}

// Thumbprint returns the key's SHA-256 thumbprint. RFC 7638 §3.2 takes the
// required members of the key's type in the order of their names.
func (k *Key) Thumbprint() (string, error) {
	text, err := json.Marshal(struct {
		Crv string `json:"crv,omitempty"`
		E   string `json:"e,omitempty"`
		Kty string `json:"kty"`
		N   string `json:"n,omitempty"`
		X   string `json:"x,omitempty"`
		Y   string `json:"y,omitempty"`
	}{k.Crv, k.E, k.Kty, k.N, k.X, k.Y})
	if err != nil {
		return "", fmt.Errorf("encode a public key: %w", err)
	}
	sum := sha256.Sum256(text)
	return encode(sum[:]), nil
}

// Public returns the key and the only algorithm it may be used with (RFC 8725
// §3.1). It refuses keys that are not for checking signatures, and types and
// sizes that nothing here signs with.
func (k *Key) Public() (alg string, key crypto.PublicKey, err error) {
	if k.Use != "" && k.Use != "sig" || k.Ops != nil && !slices.Contains(k.Ops, "verify") {
		return "", nil, errors.New("not a key for checking signatures")
	}
	switch {
	case k.Kty == "EC" && k.Crv == "P-256":
		alg = ES256
		key, err = k.ecdsa()
	case k.Kty == "RSA":
		alg = RS256
		key, err = k.rsa()
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		alg = EdDSA
		key, err = k.ed25519()
	default:
		err = errors.New("a kind of key that is not used here")
	}
	if err == nil && k.Alg != "" && k.Alg != alg && !(k.Alg == "Ed25519" && alg == EdDSA) { // RFC 9864 §2.2
		err = fmt.Errorf("a key for algorithm %.20q", k.Alg)
	}
	if err != nil {
		return "", nil, err
	}
	return alg, key, nil
}

func (k *Key) ecdsa() (*ecdsa.PublicKey, error) {
	x, errX := decode(k.X)
	y, errY := decode(k.Y)
	if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 { // RFC 7518 §6.2.1.2: full size
		return nil, errors.New("a P-256 key without proper coordinates")
	}
	// It refuses a point that is not on the curve.
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
}

func (k *Key) rsa() (*rsa.PublicKey, error) {
	n, errN := decode(k.N)
	e, errE := decode(k.E)
	if errN != nil || errE != nil || len(e) == 0 || len(e) > 4 {
		return nil, errors.New("an RSA key without proper modulus and exponent")
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := key.N.BitLen(); bits < MinRSABits || bits > MaxRSABits || key.N.Bit(0) == 0 ||
		key.E < 3 || key.E&1 == 0 {
		return nil, fmt.Errorf(
			"an RSA key of %d bits; expected %d to %d and an odd exponent",
			bits,
			MinRSABits,
			MaxRSABits,
		)
	}
	return key, nil
}

func (k *Key) ed25519() (ed25519.PublicKey, error) {
	x, err := decode(k.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, errors.New("an Ed25519 key that is not 32 bytes")
	}
	return ed25519.PublicKey(x), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// decode accepts only the canonical encoding of a value (RFC 4648 §3.5).
func decode(s string) ([]byte, error) { return base64.RawURLEncoding.Strict().DecodeString(s) }
