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
// Others are in [Algorithms].
const (
	ES256 = "ES256"
	RS256 = "RS256"
	EdDSA = "EdDSA"
	// Ed25519 is another name of EdDSA with such a key (RFC 9864 §2.2).
	Ed25519 = "Ed25519"
)

const (
	// MinRSABits is the minimum that RFC 7518 §3.3 requires.
	MinRSABits = 2048
	// MaxRSABits bounds the cost of checking a signature.
	MaxRSABits = 8192

	usualRSABits  = 4096
	usualExponent = 65537
)

// Key is a public key with the members of RFC 7517 §4, RFC 7518 §6 and RFC 8037
// §2.
type Key struct {
	Kty string   `json:"kty" doc:"Its type: EC, RSA or OKP"`
	Use string   `json:"use,omitempty" doc:"What it is for: sig"`
	Ops []string `json:"key_ops,omitempty" doc:"What it may do"`
	Alg string   `json:"alg,omitempty" doc:"Its algorithm"`
	Kid string   `json:"kid,omitempty" doc:"Its id, as in a token's header"`
	Crv string   `json:"crv,omitempty" doc:"Its curve"`
	X   string   `json:"x,omitempty" doc:"A coordinate"`
	Y   string   `json:"y,omitempty" doc:"A coordinate"`
	N   string   `json:"n,omitempty" doc:"The modulus"`
	E   string   `json:"e,omitempty" doc:"The exponent"`
}

// New returns the key for publishing. It is for signatures with one algorithm,
// and its kid is its thumbprint (RFC 7638), which binds the name to the key.
func New(public crypto.PublicKey) (Key, error) {
	k, err := Of(public)
	if err != nil {
		return Key{}, err
	}
	alg, _, err := k.Public()
	if err != nil {
		return Key{}, fmt.Errorf("%w; expected P-256, RSA of %d bits or more, or Ed25519", err, MinRSABits)
	}
	k.Use, k.Alg = "sig", alg
	k.Kid, err = k.Thumbprint()
	return k, err
}

// Of returns a public key as RFC 7518 §6 and RFC 8037 §2 write it: what the key
// is made of and nothing else. The error is for one that [Key.Verifier] would
// refuse.
func Of(public crypto.PublicKey) (k Key, err error) {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		point, err := p.Bytes() // 4, x, y, in full size as RFC 7518 §6.2.1.2 requires
		if err != nil {
			return Key{}, errors.New("an elliptic-curve key that can't be written")
		}
		half := (len(point) - 1) / 2
		k = Key{Kty: "EC", Crv: p.Params().Name, X: encode(point[1 : 1+half]), Y: encode(point[1+half:])}
	case *rsa.PublicKey:
		exponent := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, uint64(p.E)), "\x00")
		k = Key{Kty: "RSA", N: encode(p.N.Bytes()), E: encode(exponent)}
	case ed25519.PublicKey:
		k = Key{Kty: "OKP", Crv: "Ed25519", X: encode(p)}
	default:
		return Key{}, fmt.Errorf("a public key of type %T; expected one on an elliptic curve, RSA or Ed25519", public)
	}
	_, err = k.Verifier()
	return k, err
}

// Thumbprint returns the key's SHA-256 thumbprint. RFC 7638 §3.2 takes the
// required members of the key's type in the order of their names, and no
// others, and RFC 7518 §6.3.1 numbers without zeros in front: others write
// them, and it is the same key.
func (k *Key) Thumbprint() (string, error) {
	required := struct {
		Crv string `json:"crv,omitempty"`
		E   string `json:"e,omitempty"`
		Kty string `json:"kty"`
		N   string `json:"n,omitempty"`
		X   string `json:"x,omitempty"`
		Y   string `json:"y,omitempty"`
	}{Kty: k.Kty}
	switch k.Kty {
	case "RSA":
		required.E, required.N = shortest(k.E), shortest(k.N)
	case "EC":
		required.Crv, required.X, required.Y = k.Crv, k.X, k.Y
	case "OKP":
		required.Crv, required.X = k.Crv, k.X
	}
	text, err := json.Marshal(required)
	if err != nil {
		return "", fmt.Errorf("encode a public key: %w", err)
	}
	sum := sha256.Sum256(text)
	return encode(sum[:]), nil
}

// shortest returns a number without zeros in front.
func shortest(text string) string {
	raw, err := decode(text)
	if err != nil {
		return text
	}
	return encode(bytes.TrimLeft(raw, "\x00"))
}

// Public returns the key and the only algorithm that tokens of this server are
// signed with by such a key (RFC 8725 §3.1). It refuses keys that are not for
// checking signatures, and types and sizes that nothing here signs with.
func (k *Key) Public() (alg string, key crypto.PublicKey, err error) {
	v, err := k.Verifier()
	if err != nil {
		return "", nil, err
	}
	alg = Algorithms(v.Key)[0]
	if !slices.Contains([]string{ES256, RS256, EdDSA}, alg) {
		return "", nil, errors.New("a kind of key that is not used here")
	}
	if !slices.Contains(v.Algorithms, alg) {
		return "", nil, fmt.Errorf("a key for algorithm %.20q", k.Alg)
	}
	return alg, v.Key, nil
}

func (k *Key) ecdsa(curve elliptic.Curve) (*ecdsa.PublicKey, error) {
	x, errX := decode(k.X)
	y, errY := decode(k.Y)
	size := (curve.Params().BitSize + 7) / 8
	if errX != nil || errY != nil || len(x) != size || len(y) != size { // RFC 7518 §6.2.1.2: full size
		return nil, fmt.Errorf("a %s key without proper coordinates", k.Crv)
	}
	// It refuses a point that is not on the curve.
	key, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, fmt.Errorf("a %s key whose point is not on the curve", k.Crv)
	}
	return key, nil
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
