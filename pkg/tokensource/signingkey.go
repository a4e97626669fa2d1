package tokensource

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/svcauth/svcauth/internal/jwk"
)

// signingKey is a private key and how it signs (RFC 7518 §3.1, RFC 8037 §3.1).
type signingKey struct {
	signer crypto.Signer
	alg    string
	kid    string
}

// algorithms are what a kind of key signs with, the default first. Ed25519 is
// EdDSA's newer name (RFC 9864).
var algorithms = map[string][]string{
	"RSA":     {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"},
	"P-256":   {"ES256"},
	"P-384":   {"ES384"},
	"P-521":   {"ES512"},
	"Ed25519": {"EdDSA", "Ed25519"},
}

// readSigningKey reads a private key from a file with PEM or a JWK. No error
// shows anything of the file.
func readSigningKey(path string) (signingKey, error) {
	content, err := readFile("the private key file", path)
	if err != nil {
		return signingKey{}, err
	}
	var key signingKey
	if text := bytes.TrimSpace(content); len(text) > 0 && text[0] == '{' {
		key, err = parsePrivateJWK(text)
	} else if key.signer, err = parsePrivatePEM(content); err == nil {
		key, err = newSigningKey(key.signer, "", "")
	}
	if err != nil {
		return signingKey{}, fmt.Errorf("the private key file %s %w", path, err)
	}
	return key, nil
}

// newSigningKey checks the kind and size of a key. alg and kid may be empty.
// The errors continue "the private key file".
func newSigningKey(signer crypto.Signer, alg, kid string) (signingKey, error) {
	public, err := jwk.ForClient(signer.Public())
	if err != nil {
		return signingKey{}, fmt.Errorf("holds %w", err)
	}
	kind := public.Crv
	if public.Kty == "RSA" {
		kind = public.Kty
	}
	if alg == "" {
		alg = algorithms[kind][0]
	}
	known := false
	for _, a := range algorithms[kind] {
		known = known || a == alg
	}
	if !known {
		return signingKey{}, fmt.Errorf("holds a key with an alg that it can't sign with; expected one of %v",
			algorithms[kind])
	}
	if kid == "" {
		kid = public.Kid
	}
	return signingKey{signer, alg, kid}, nil
}

// parsePrivatePEM returns the first private key. Certificates and parameters
// before it are skipped. The errors continue "the private key file".
func parsePrivatePEM(content []byte) (crypto.Signer, error) {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return nil, errors.New("holds no private key: expected PEM (-----BEGIN PRIVATE KEY-----) or a JWK; " +
				"'svcauth key create' makes one")
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, errEncrypted
			}
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, errEncrypted
			}
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errEncrypted
		case "OPENSSH PRIVATE KEY":
			return nil, errors.New("holds a key in OpenSSH's own form; expected PKCS #8: " +
				"'svcauth key create' makes one")
		default:
			continue
		}
		if err != nil {
			return nil, errors.New("holds a private key that can't be read: it is damaged, or of a curve that is not " +
				"supported (P-256, P-384, P-521, Ed25519)")
		}
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
		return nil, errors.New("holds a key that can't sign; expected RSA, P-256, P-384, P-521 or Ed25519")
	}
}

var errEncrypted = errors.New("holds an encrypted key, whose passphrase nobody can be asked for here; " +
	"decrypt it first (openssl pkey), or let 'svcauth key create' make another")
