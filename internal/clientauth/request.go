package clientauth

import (
	"crypto/x509"
	"net/http"
	"net/netip"

	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Request is what an HTTP request says about its client, parsed once. Nothing
// in it is verified.
type Request struct {
	// ClientID is client_id of the form, and after [Authenticator.Authenticate]
	// the client that the request claims to come from. It may be empty.
	ClientID string
	Basic    *Basic         // the Authorization header; nil: there is none
	Secret   svcauth.Secret // client_secret of the form; empty: there is none

	// RFC 7521 §4.2: client_assertion_type and client_assertion of the form.
	AssertionType, Assertion string

	Certificate *x509.Certificate // of the TLS client (RFC 8705 §2); nil: none
	IP          netip.Addr        // where the request comes from; zero: not known
}

// ReadRequest reads a request. param returns a parameter of its form, or the
// empty string: one without a value counts as absent (RFC 6749 §3.2).
func ReadRequest(r *http.Request, param func(name string) string, ip netip.Addr) (*Request, *oautherr.Error) {
	read := &Request{
		ClientID: param("client_id"), Secret: svcauth.Secret(param("client_secret")),
		AssertionType: param("client_assertion_type"), Assertion: param("client_assertion"),
		IP: ip,
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		read.Certificate = r.TLS.PeerCertificates[0]
	}
	switch headers := r.Header["Authorization"]; len(headers) {
	case 0:
	case 1:
		read.Basic = parseBasic(headers[0])
	default:
		return read, twoWays()
	}
	return read, nil
}
