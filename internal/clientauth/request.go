package clientauth

import (
	"net/http"
	"net/netip"

	"github.com/svcauth/svcauth/internal/federation"
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

	// SubjectToken is the subject_token of a token exchange (RFC 8693 §2.1),
	// FederatedID the federated credential that its audience names.
	SubjectToken, FederatedID string

	Certificate PeerCertificate // of the TLS client (RFC 8705 §2)
	IP          netip.Addr      // where the request comes from; zero: not known

	// [Authenticator.Authenticate] sets these as soon as it knows them, for the
	// records of what is refused: the client that the request claims to come
	// from, and the credential that fits it.
	Claimed      *Client
	CredentialID string
	Method       string // by which the client authenticates, as the metadata calls it

	assertion     *Assertion // read once, by [Request.ReadAssertion]
	assertionErr  error
	assertionRead bool
	foreign       *federation.Token // the token of another issuer, read once
	work          *federation.Work  // what checking either may still cost
}

// Origin is what the frame has found out about where a request comes from.
type Origin struct {
	IP      netip.Addr // of the client; zero: not known
	Proxied bool       // the connection is a trusted proxy's
}

// ReadRequest reads a request. param returns a parameter of its form, or the
// empty string: one without a value counts as absent (RFC 6749 §3.2).
func (a *Authenticator) ReadRequest(r *http.Request, param func(name string) string, from Origin) (
	*Request, *oautherr.Error,
) {
	read := &Request{
		ClientID: param("client_id"), Secret: svcauth.Secret(param("client_secret")),
		AssertionType: param("client_assertion_type"), Assertion: param("client_assertion"),
		IP: from.IP,
	}
	read.readExchange(param)
	var refusal *oautherr.Error
	if read.Certificate, refusal = a.cfg.Certificates.Read(r, from.Proxied); refusal != nil {
		return read, refusal
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
