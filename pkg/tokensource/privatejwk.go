package tokensource

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
)

// privateJWK is a private key as JSON (RFC 7518 §6, RFC 8037 §2).
type privateJWK struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	X   octets `json:"x"`
	Y   octets `json:"y"`
	N   octets `json:"n"`
	E   octets `json:"e"`
	D   octets `json:"d"`
	P   octets `json:"p"`
	Q   octets `json:"q"`
}

// octets are bytes that JSON has in base64url (RFC 7515 §2).
type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = base64.RawURLEncoding.DecodeString(string(text))
	return err
}

var curves = map[string]elliptic.Curve{
	"P-256": elliptic.P256(),
	"P-384": elliptic.P384(),
	"P-521": elliptic.P521(),
}

var errBadJWK = errors.New("holds a JWK whose members don't make a key; write it again")

// parsePrivateJWK reads a private JWK. The errors continue "the private key
// file" and show nothing of it.
func parsePrivateJWK(text []byte) (signingKey, error) {
	var k privateJWK
	if json.Unmarshal(text, &k) != nil {
		return signingKey{}, errors.New("is not the JSON of one JWK (RFC 7517 §4)")
	}
	if k.Kty == "" {
		return signingKey{}, errors.New("is not the JSON of one JWK (RFC 7517 §4): it has no kty; " +
			"of a key set, write the one key alone")
	}
	if len(k.D) == 0 {
		return signingKey{}, errors.New("holds a JWK without d, which is a public key; expected the private one")
	}
	var signer crypto.Signer
	var err error
	switch {
	case k.Kty == "EC" && curves[k.Crv] != nil:
		signer, err = k.ecdsa(curves[k.Crv])
	case k.Kty == "RSA":
		signer, err = k.rsa()
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		signer, err = k.ed25519()
	default:
		err = errors.New("holds a JWK of a kind that is not supported; expected RSA, P-256, P-384, P-521 or Ed25519")
	}
	if err != nil {
		return signingKey{}, err
	}
	return newSigningKey(signer, k.Alg, k.Kid)
}

func (k privateJWK) ecdsa(curve elliptic.Curve) (crypto.Signer, error) {
	size := (curve.Params().BitSize + 7) / 8
	if max(len(k.D), len(k.X), len(k.Y)) > size {
		return nil, errBadJWK
	}
	full := func(o octets) []byte { // some writers leave leading zeros out
		return append(make([]byte, size-len(o)), o...)
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, full(k.D))
	if err != nil {
		return nil, errBadJWK
	}
	point, err := key.PublicKey.Bytes()
	if err != nil || !bytes.Equal(point, slices.Concat([]byte{4}, full(k.X), full(k.Y))) {
		return nil, errBadJWK
	}
	return key, nil
}

func (k privateJWK) rsa() (crypto.Signer, error) {
	e := new(big.Int).SetBytes(k.E)
	if len(k.P) == 0 || len(k.Q) == 0 || !e.IsInt64() || e.Int64() > 1<<31-1 {
		return nil, errBadJWK
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).SetBytes(k.N), E: int(e.Int64())},
		D:         new(big.Int).SetBytes(k.D),
		Primes:    []*big.Int{new(big.Int).SetBytes(k.P), new(big.Int).SetBytes(k.Q)},
	}
	if key.Validate() != nil {
		return nil, errBadJWK
	}
	key.Precompute()
	return key, nil
}

func (k privateJWK) ed25519() (crypto.Signer, error) {
	if len(k.D) != ed25519.SeedSize {
		return nil, errBadJWK
	}
	key := ed25519.NewKeyFromSeed(k.D)
	if !key.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(k.X)) {
		return nil, errBadJWK
	}
	return key, nil
}
