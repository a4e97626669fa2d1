package app

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/config"
)

// mutualTLS has a listener ask its callers for a certificate. It takes any, and
// none: a self-signed one is vouched for by nobody (RFC 8705 §2.2), and whether
// a chain is needed depends on the client. Package clientauth verifies it with
// each request, also on a connection that resumes a session, to which its
// certificate comes along.
func mutualTLS(config *tls.Config) *tls.Config {
	config.ClientAuth = tls.RequestClientCert
	return config
}

func certificateReader(c config.TLS) *clientauth.CertificateReader {
	return clientauth.NewCertificateReader(c.ClientCertHeader, c.ClientCertFormat, c.ClientCertVerifiedHeader)
}

// takesCertificates reports whether a client can show a certificate at all.
func takesCertificates(c config.TLS) bool { return c.MTLSListen != "" || c.ClientCertHeader != "" }

// takesSelfSigned reports whether a certificate that nobody vouches for can
// reach the server: to its own listener, or through a proxy that need not have
// checked the chain.
func takesSelfSigned(c config.TLS) bool {
	return c.MTLSListen != "" || c.ClientCertHeader != "" && c.ClientCertVerifiedHeader == ""
}

// clientAuthorities reads tls.client_ca_file. Unlike those of what the server
// connects to, each certificate in it must be readable: one that is passed over
// would lock clients out. It returns nil if path is empty.
func clientAuthorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // there are none
	}
	rest, err := readFile(path)
	if err != nil {
		return nil, err
	}
	pool, found := x509.NewCertPool(), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		found++
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s holds a PEM block of another type than CERTIFICATE; expected only those of "+
				"authorities", path)
		}
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of %s can't be read: %w", found, path, err)
		}
		if !authority.BasicConstraintsValid || !authority.IsCA {
			return nil, fmt.Errorf("certificate %d of %s is no authority's (CA:TRUE); "+
				"register a client's own certificate with its service account instead", found, path)
		}
		pool.AddCert(authority)
	}
	if found == 0 {
		return nil, errors.New(path + " holds no certificate in PEM")
	}
	return pool, nil
}
