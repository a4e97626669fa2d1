package jwk

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ParsePEM reads one public key that somebody registers: PUBLIC KEY (RFC 5280
// §4.1.2.7) or RSA PUBLIC KEY (RFC 8017 appendix A.1.1). It refuses a private
// key and says so. An error is for the sender, and never has any of the text.
func ParsePEM(text string) (k Key, v Verifier, err error) {
	block, rest := pem.Decode([]byte(text))
	switch {
	case strings.Contains(text, "PRIVATE KEY-----"):
		return k, v, errors.New("a private key: send only the public one (openssl pkey -in FILE -pubout), and make a " +
			"new key if this one is in use")
	case block == nil || strings.TrimSpace(string(rest)) != "" ||
		!strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN "):
		return k, v, errors.New("text that is no PEM of one key: expected -----BEGIN PUBLIC KEY-----, and nothing else")
	}
	var public any
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		return k, v, errors.New("a certificate: send its public key (openssl x509 -in FILE -pubkey -noout)")
	default:
		return k, v, errors.New("PEM of another kind: expected -----BEGIN PUBLIC KEY-----")
	}
	if err != nil {
		return k, v, errors.New("PEM whose key can't be read: expected RSA, P-256, P-384, P-521 or Ed25519")
	}
	if k, err = Of(public); err != nil {
		return Key{}, v, fmt.Errorf("PEM with %w", err)
	}
	v, err = k.Verifier()
	return k, v, err
}
