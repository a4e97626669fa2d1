// Package jws signs compact JWS (RFC 7515 §7.1) with private keys that their
// owner brings: assertions (RFC 7523) and proofs (RFC 9449).
//
// It owns how each algorithm signs. It refuses to know: where a key comes from,
// what is signed, and how a signature is checked (package verify).
package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
)

// Sign returns a JWS of claims, signed with a key by an algorithm that is for
// such a key (see [jwk.Algorithms]), which the header must name, too.
func Sign(key crypto.Signer, alg string, header, claims any) (string, error) {
	text, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	return SignWith(key, alg, base64.RawURLEncoding.EncodeToString(text), claims)
}

// SignWith is [Sign] with a header that is encoded already.
func SignWith(key crypto.Signer, alg, header string, claims any) (string, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := header + "." + base64.RawURLEncoding.EncodeToString(text)
	signature, err := signature(key, alg, []byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// signature signs the input of a JWS (RFC 7518 §3.1, RFC 8037 §3.1).
func signature(key crypto.Signer, alg string, input []byte) ([]byte, error) {
	hash := crypto.SHA256
	switch alg[max(len(alg)-3, 0):] {
	case "384":
		hash = crypto.SHA384
	case "512":
		hash = crypto.SHA512
	}
	digest := func() []byte {
		h := hash.New()
		h.Write(input)
		return h.Sum(nil)
	}
	switch signer := key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(signer, input), nil
	case *rsa.PrivateKey:
		if alg[0] == 'P' {
			options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash} // RFC 7518 §3.5
			return rsa.SignPSS(rand.Reader, signer, hash, digest(), options)
		}
		return rsa.SignPKCS1v15(rand.Reader, signer, hash, digest())
	case *ecdsa.PrivateKey:
		der, err := signer.Sign(rand.Reader, digest(), hash)
		if err != nil {
			return nil, err
		}
		return joinedSignature(der, signer.Curve)
	}
	return nil, errors.New("a kind of key that can't sign")
}

// joinedSignature turns an ASN.1 signature into that of JWS: R and S in full
// size, one after the other (RFC 7518 §3.4).
func joinedSignature(der []byte, curve elliptic.Curve) ([]byte, error) {
	var both struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &both); err != nil {
		return nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	out := make([]byte, 2*size)
	both.R.FillBytes(out[:size])
	both.S.FillBytes(out[size:])
	return out, nil
}
