package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// TLS is a server that speaks TLS and asks for a certificate of its own CA.
// Tests reach it in clear through the embedded Server.
type TLS struct {
	*Server
	CAFile, CertFile, KeyFile string // PEM, of who may connect; the server has them too

	port int
}

// StartTLS starts one for t.
func StartTLS(t testing.TB) *TLS {
	t.Helper()
	needs.Service(t, "a real redis-server")
	s := &TLS{}
	dir := t.TempDir()
	ca, caKey := s.certify(t, dir, "ca", nil, nil)
	s.certify(t, dir, "redis", ca, caKey)
	s.CAFile, s.CertFile, s.KeyFile = filepath.Join(dir, "ca.pem"), filepath.Join(dir,
		"redis.pem"), filepath.Join(dir, "redis.key")
	port, err := freeport.Port()
	if err != nil {
		t.Fatal(err)
	}
	s.port = port
	s.Server = start(t, "--tls-port", strconv.Itoa(port), "--tls-auth-clients", "yes",
		"--tls-ca-cert-file", s.CAFile, "--tls-cert-file", s.CertFile, "--tls-key-file", s.KeyFile)
	return s
}

// URL returns the one of its TLS port.
func (s *TLS) URL() string {
	return "rediss://" + s.userinfo() + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
}

// certify writes a certificate and its key: one of ca, or, without, a CA.
func (s *TLS) certify(t testing.TB, dir, name string, ca *x509.Certificate,
	caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ca == nil {
		leaf.IsCA, leaf.KeyUsage, leaf.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		ca, caKey = leaf, key
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name +
		".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}
