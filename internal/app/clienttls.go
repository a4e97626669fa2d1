package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/svcauth/svcauth/internal/config"
)

// clientTLS returns the TLS of outgoing connections from the three keys of a
// section: the authorities that vouch for the server, and the certificate of
// this one, which is returned too. It returns nil if none is set. It reads the
// authorities once, and the certificate again when its file has changed.
func clientTLS(section, caFile, certFile, keyFile string) (out *tls.Config, own *certificate, err error) {
	if caFile == "" && certFile == "" && keyFile == "" {
		return nil, nil, nil // the system's authorities, and no certificate
	}
	roots, caErr := authorities(caFile)
	out = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	var certErr error
	if certFile != "" || keyFile != "" {
		own = &certificate{section: section, certFile: certFile, keyFile: keyFile}
		_, certErr = own.get(nil)
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return own.get(nil)
		}
	}
	if err := errors.Join(ofKey(section+".ca_file", caErr), certErr); err != nil {
		return nil, nil, err
	}
	return out, own, nil
}

// requireTLS refuses files of TLS for an address without TLS.
func requireTLS(key string, files *tls.Config, secure bool, expected string) error {
	if files == nil || secure {
		return nil
	}
	return ofKey(key, fmt.Errorf("is an address without TLS, but its ca_file or cert_file is set; "+
		"expected %s, or take them away", expected))
}

func redisTLS(c config.Redis) (*tls.Config, *certificate, error) {
	trust, own, err := clientTLS("redis", c.CAFile, c.CertFile, c.KeyFile)
	secure := strings.HasPrefix(c.URL.Reveal(), "rediss")
	return trust, own, errors.Join(err, requireTLS("redis.url", trust, secure, "rediss://"))
}

func otlpTLS(c config.OTLP) (*tls.Config, *certificate, error) {
	trust, own, err := clientTLS("otlp", c.CAFile, c.CertFile, c.KeyFile)
	secure := strings.HasPrefix(c.Endpoint, "https://")
	return trust, own, errors.Join(err, requireTLS("otlp.endpoint", trust, secure, "https://"))
}

// authorities reads a file of certificates in PEM. It returns nil, which means
// the system's own, if path is empty.
func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // the system's
	}
	pem, err := readFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}
