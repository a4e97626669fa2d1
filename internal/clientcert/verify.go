package clientcert

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Verify returns nil if one of the authorities vouches for a client's
// certificate at a moment (RFC 8705 §2.1, RFC 5280 §6): for a key of a strength
// that is taken, for clients (RFC 5280 §4.2.1.12), to sign with, and for no
// authority. A chain is checked anew each time. An error says in words of our
// own what is wrong, with nothing of the certificate.
func Verify(leaf *x509.Certificate, intermediates []*x509.Certificate, authorities *x509.CertPool,
	now time.Time,
) error {
	if err := InForce(leaf, now); err != nil {
		return err
	}
	if leaf.IsCA {
		return errors.New("it is an authority's (CA:TRUE), not a client's")
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return errors.New("its key usage has no digitalSignature")
	}
	if err := keyFit(leaf); err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, one := range intermediates {
		if keyFit(one) == nil { // a longer key is longer to check with
			between.AddCert(one)
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return errors.New("its extended key usage has no clientAuth")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errors.New("an authority in its chain has expired")
	default:
		return errors.New("no authority of tls.client_ca_file vouches for it")
	}
}

// InForce returns an error if a certificate is not valid yet or any more.
func InForce(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(leaf.NotBefore):
		return errors.New("it is not valid yet: from " + leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return errors.New("it expired on " + leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// keyFit returns an error unless the key of a certificate is of a kind and
// length that is taken: strong enough, and not costly to check with.
func keyFit(c *x509.Certificate) error {
	fit := false
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		fit = key.N.BitLen() >= jwk.MinRSABits && key.N.BitLen() <= jwk.MaxRSABits
	case *ecdsa.PublicKey:
		fit = slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, key.Curve)
	case ed25519.PublicKey:
		fit = true
	}
	if !fit {
		return fmt.Errorf("its key is not taken; expected RSA with %d to %d bits, P-256, P-384, P-521 or Ed25519",
			jwk.MinRSABits, jwk.MaxRSABits)
	}
	return nil
}

// ParsePEM reads the one certificate in PEM (RFC 7468 §5) that a client's
// account is to have. An error is for whoever sent it: what came instead, a
// private key above all, is not repeated.
func ParsePEM(text string, now time.Time) (*x509.Certificate, error) {
	if len(text) > svcauth.MaxCertificatePEM {
		return nil, errors.New("is too long for a certificate")
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errors.New("holds no certificate in PEM, from -----BEGIN CERTIFICATE----- to " +
			"-----END CERTIFICATE-----")
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, errors.New("holds a private key, which must never be sent; send the certificate alone, " +
			"and make a new key")
	case block.Type != "CERTIFICATE":
		return nil, errors.New("holds PEM of another type than CERTIFICATE")
	case strings.Contains(string(rest), "PRIVATE KEY"):
		return nil, errors.New("holds a private key, which must never be sent; send the certificate alone, " +
			"and make a new key")
	case strings.TrimSpace(string(rest)) != "":
		return nil, errors.New("holds more than one certificate; send the client's own alone")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("holds no X.509 certificate that can be read")
	}
	if err := keyFit(leaf); err != nil {
		return nil, fmt.Errorf("is refused: %w", err)
	}
	if now.After(leaf.NotAfter) {
		return nil, fmt.Errorf("is refused: %w", InForce(leaf, now))
	}
	return leaf, nil
}
