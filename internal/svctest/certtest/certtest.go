// Package certtest makes authorities and certificates of clients for tests.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Authority is one that vouches for certificates.
type Authority struct {
	Certificate *x509.Certificate
	key         crypto.Signer
	chain       [][]byte // DER of itself and those above it, without the root
}

// New returns an authority that vouches for itself.
func New(t testing.TB, name string) *Authority {
	t.Helper()
	template := authority(name)
	key, der := sign(t, template, template, nil)
	return &Authority{Certificate: parse(t, der), key: key}
}

// Below returns an authority that a vouches for.
func (a *Authority) Below(t testing.TB, name string) *Authority {
	t.Helper()
	key, der := sign(t, authority(name), a.Certificate, a.key)
	return &Authority{Certificate: parse(t, der), key: key, chain: append([][]byte{der}, a.chain...)}
}

// Issue returns a client's certificate with its key and the authorities between
// it and the root. edit, unless it is nil, changes what is signed.
func (a *Authority) Issue(t testing.TB, edit func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, der := sign(t, client(edit), a.Certificate, a.key)
	return tls.Certificate{Certificate: append([][]byte{der}, a.chain...), PrivateKey: key, Leaf: parse(t, der)}
}

// SelfSigned returns a client's certificate that nobody vouches for.
func SelfSigned(t testing.TB, edit func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := client(edit)
	key, der := sign(t, template, template, nil)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parse(t, der)}
}

// File returns the path of a file with the authority's certificate in PEM.
func (a *Authority) File(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authority.pem")
	require.NoError(t, os.WriteFile(path, PEM(a.Certificate), 0o600))
	return path
}

// PEM returns certificates in PEM.
func PEM(certificates ...*x509.Certificate) (out []byte) {
	for _, one := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.Raw})...)
	}
	return out
}

// KeyPEM returns the private key of a certificate in PEM.
func KeyPEM(t testing.TB, pair tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

func client(edit func(*x509.Certificate)) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "client"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if edit != nil {
		edit(template)
	}
	return template
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return n
}

// sign makes a key and has a certificate for it signed: by itself if with is
// nil.
func sign(t testing.TB, template, by *x509.Certificate, with crypto.Signer) (crypto.Signer, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	if with == nil {
		with = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), with)
	require.NoError(t, err)
	return key, der
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return certificate
}
