package tokensource

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// certificate is mutual TLS (RFC 8705 §2). The client's id is a parameter; the
// proof is the connection's.
type certificate struct {
	client, certFile, keyFile string
	now                       func() time.Time

	mu   sync.Mutex
	seen [sha256.Size]byte // of the files that the last request was sent with
}

func newCertificate(c Config) method {
	return &certificate{client: c.ClientID, certFile: c.CertFile, keyFile: c.KeyFile, now: c.Clock}
}

func (c *certificate) check() error {
	_, _, err := readCertificate(c.certFile, c.keyFile)
	return err
}

// prove reads the files, so that an error is of them and not of a handshake,
// and ends idle connections that were made with another certificate.
func (c *certificate) prove(_ context.Context, s *Source) (proof, error) {
	pair, sum, err := readCertificate(c.certFile, c.keyFile)
	if err != nil {
		return proof{}, err
	}
	if leaf := pair.Leaf; c.now().After(leaf.NotAfter.Add(clockSkew)) {
		return proof{}, fmt.Errorf("the certificate file %s has expired at %s; renew it",
			c.certFile, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	c.mu.Lock()
	renewed := c.seen != sum && c.seen != [sha256.Size]byte{}
	c.seen = sum
	c.mu.Unlock()
	if renewed {
		s.client.CloseIdleConnections()
	}
	return proof{
		form: map[string]string{"client_id": c.client}, // required: RFC 8705 §2
		advice: fmt.Errorf("the certificate of %s (subject %q, until %s) was offered; check that it is registered for "+
			"client %s, and that the address is one that asks for certificates", c.certFile,
			pair.Leaf.Subject.String(), pair.Leaf.NotAfter.UTC().Format(time.RFC3339), c.client),
	}, nil
}

// readCertificate reads a certificate with its chain and its key, and returns
// the sum of both files.
func readCertificate(certFile, keyFile string) (pair tls.Certificate, sum [sha256.Size]byte, err error) {
	chain, err := readFile("the certificate file", certFile)
	if err != nil {
		return pair, sum, err
	}
	key, err := readFile("the certificate's key file", keyFile)
	if err != nil {
		return pair, sum, err
	}
	if pair, err = tls.X509KeyPair(chain, key); err != nil {
		// The texts of crypto/tls name kinds of blocks, never what is in them.
		return pair, sum, fmt.Errorf("the certificate file %s and the key file %s don't make a pair: %w",
			certFile, keyFile, err)
	}
	return pair, sha256.Sum256(bytes.Join([][]byte{chain, key}, nil)), nil
}

// ClientCertificate returns a function for [tls.Config.GetClientCertificate]
// that reads the two PEM files anew for each connection, so that a renewed
// certificate is used without a restart. A [Source] does so by itself; this is
// for a Config.HTTPClient whose Transport is not an [http.Transport]. The
// function's errors name the file.
func ClientCertificate(certFile, keyFile string) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, _, err := readCertificate(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		// Whatever authorities the server names: a certificate that is
		// registered itself (RFC 8705 §2.2) needs none.
		return &pair, nil
	}
}

// presenting returns a copy of base that presents the certificate.
func presenting(base *http.Transport, certFile, keyFile string) *http.Transport {
	own := base.Clone()
	if own.TLSClientConfig == nil {
		own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	own.TLSClientConfig.Certificates = nil
	own.TLSClientConfig.GetClientCertificate = ClientCertificate(certFile, keyFile)
	return own
}
