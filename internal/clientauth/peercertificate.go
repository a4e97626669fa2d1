package clientauth

import (
	"crypto/x509"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/oautherr"
)

// PeerCertificate is what the TLS client of a request has shown: it has the
// private key of Leaf. Nothing else of it is verified.
type PeerCertificate struct {
	Leaf          *x509.Certificate // nil: it has shown none
	Intermediates []*x509.Certificate

	// Unverified says that a proxy that was to check the certificate did not
	// find it right, so that it proves nothing.
	Unverified bool
}

// CertificateReader reads the certificate of the TLS client of a request: from
// the connection, or from the header fields in which a trusted proxy hands it
// on. The zero value reads from the connection alone.
type CertificateReader struct {
	header, chainHeader, verifiedHeader string // in canonical form; empty: there is none
	parse                               func(value string) ([]*x509.Certificate, error)
}

// The values of tls.client_cert_format.
const (
	FormatRFC9440       = "rfc9440"
	FormatPEMURLEncoded = "pem-urlencoded"
	FormatXFCC          = "xfcc"
)

// NewCertificateReader returns a reader for the header field in which trusted
// proxies write a certificate in one of the formats. verifiedHeader, if it is
// not empty, is the field in which they say [Verified] of one that they have
// checked. If header is empty, no header is read.
func NewCertificateReader(header, format, verifiedHeader string) *CertificateReader {
	c := &CertificateReader{}
	if header == "" {
		return c
	}
	c.header = textproto.CanonicalMIMEHeaderKey(header)
	if verifiedHeader != "" {
		c.verifiedHeader = textproto.CanonicalMIMEHeaderKey(verifiedHeader)
	}
	switch format {
	case FormatPEMURLEncoded:
		c.parse = parseEscapedPEM
	case FormatXFCC:
		c.parse = parseXFCC
	default:
		c.parse, c.chainHeader = parseByteSequences, c.header+"-Chain" // RFC 9440 §2.3
	}
	return c
}

// Verified is what a proxy writes of a certificate that it has checked, as
// nginx and Apache do.
const Verified = "SUCCESS"

// maxCertificateField bounds what is parsed of one header field, in bytes. A
// certificate of RSA with 4,096 bits has 3 KiB in it.
const maxCertificateField = 12 << 10

// Fields returns the header fields that only a trusted proxy may send, in
// canonical form.
func (c *CertificateReader) Fields() []string {
	return slices.DeleteFunc([]string{c.header, c.chainHeader, c.verifiedHeader},
		func(name string) bool { return name == "" })
}

// Read returns the certificate that the TLS client of a request has shown.
// proxied says that the connection is a trusted proxy's. Its own certificate
// is then no client's, and the header is read; from anybody else only the
// connection counts. An error says that the header can't be read.
func (c *CertificateReader) Read(r *http.Request, proxied bool) (PeerCertificate, *oautherr.Error) {
	if !proxied {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			return PeerCertificate{}, nil
		}
		chain := r.TLS.PeerCertificates // of a resumed session, too
		return PeerCertificate{Leaf: chain[0], Intermediates: chain[1:min(len(chain), maxChain)]}, nil
	}
	if c.header == "" {
		return PeerCertificate{}, nil
	}
	value, refusal := single(r.Header, c.header)
	if refusal != nil || value == "" || value == "::" { // what a proxy writes around nothing
		return PeerCertificate{}, refusal
	}
	chain, err := c.parse(value)
	if err == nil && c.chainHeader != "" {
		var further string
		if further, refusal = single(r.Header, c.chainHeader); refusal != nil {
			return PeerCertificate{}, refusal
		}
		var more []*x509.Certificate
		if more, err = parseByteSequenceList(further); err == nil {
			chain = append(chain, more...)
		}
	}
	if err != nil {
		return PeerCertificate{}, malformed("the proxy's header field " + c.header + " " + err.Error())
	}
	peer := PeerCertificate{Leaf: chain[0], Intermediates: chain[1:]}
	if c.verifiedHeader != "" {
		word, refusal := single(r.Header, c.verifiedHeader)
		if refusal != nil {
			return PeerCertificate{}, refusal
		}
		peer.Unverified = word != Verified
	}
	return peer, nil
}

// single returns the value of a header field that may come once. It is empty if
// there is none.
func single(h http.Header, name string) (string, *oautherr.Error) {
	switch values := h[name]; {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", malformed("the header field " + name + " came twice; the proxy must replace what callers send in it")
	case len(values[0]) > maxCertificateField:
		return "", malformed("the header field " + name + " is too long for a certificate")
	default:
		return strings.Trim(values[0], " \t"), nil
	}
}
