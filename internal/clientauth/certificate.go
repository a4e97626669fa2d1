package clientauth

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/clientcert"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// CertificateConfig says how certificates of clients are judged.
type CertificateConfig struct {
	// Authorities vouch for clients. nil: there are none, and only registered
	// certificates count.
	Authorities *x509.CertPool
	// SelfSigned reports that a self-signed certificate can reach the server:
	// no proxy that checks a chain stands in every way.
	SelfSigned bool
	Clock      func() time.Time
}

// Certificates returns the methods of clients that show a certificate in TLS,
// RFC 8705 §2: none if no certificate can ever count.
func Certificates(cfg CertificateConfig) []Method {
	m := certificates{cfg: cfg}
	if len(m.Names()) == 0 {
		return nil
	}
	return []Method{m}
}

// certificates is both methods: which of them a client uses, only its
// registration says.
type certificates struct{ cfg CertificateConfig }

func takesCertificates(methods []Method) bool {
	return slices.ContainsFunc(methods, func(m Method) bool { _, ok := m.(certificates); return ok })
}

// noCertificate returns the error for a request with a client_id and nothing
// that proves it, as one looks whose certificate did not come.
func noCertificate() *oautherr.Error {
	return oautherr.New(oautherr.CodeInvalidClient, "no_credential", howToAuthenticate+
		"; no certificate came either: show it at the address that the metadata names (mtls_endpoint_aliases)")
}

// Names implements [Method].
func (m certificates) Names() (names []string) {
	if m.cfg.Authorities != nil {
		names = append(names, svcauth.MethodTLSClientAuth)
	}
	if m.cfg.SelfSigned {
		names = append(names, svcauth.MethodSelfSignedTLSClientAuth)
	}
	return names
}

// Present implements [Method]. Browsers and proxies show certificates whether
// the client means them or not: one counts only if the request proves the
// client by nothing else. client_id is required, RFC 8705 §2.
func (m certificates) Present(r *Request) bool {
	return r.Certificate.Leaf != nil && r.ClientID != "" &&
		r.Basic == nil && r.Secret == "" && r.AssertionType == "" && r.Assertion == "" && r.SubjectToken == ""
}

// ClientID implements [Method].
func (m certificates) ClientID(_ context.Context, r *Request) (string, error) { return r.ClientID, nil }

// Costly implements [Method]: signatures of a chain are checked.
func (m certificates) Costly() bool { return m.cfg.Authorities != nil }

// Verify implements [Method]. The chain is checked before anything is compared,
// so that how long it takes tells nothing of what a client has registered.
func (m certificates) Verify(_ context.Context, r *Request, client *Client) (Proof, error) {
	peer, now := r.Certificate, m.cfg.Clock()
	chain := errNoAuthorities
	if m.cfg.Authorities != nil {
		chain = clientcert.Verify(peer.Leaf, peer.Intermediates, m.cfg.Authorities, now)
	}
	inForce := clientcert.InForce(peer.Leaf, now)
	names := clientcert.Names(peer.Leaf)
	whole := clientcert.Of(peer.Leaf)
	found, method := store.StoredCredential{}, ""
	for i := range svcauth.MaxCertificates {
		var registered store.StoredCredential
		if i < len(client.Certificates) {
			registered = client.Certificates[i]
		}
		name := clientcert.ParseStored(registered.Material)
		by := ""
		switch {
		case name.Kind == clientcert.Certificate:
			if m.cfg.SelfSigned && name == whole && inForce == nil {
				by = svcauth.MethodSelfSignedTLSClientAuth
			}
		case chain == nil && slices.Contains(names, name):
			by = svcauth.MethodTLSClientAuth
		}
		// Of several that fit, one that has not expired.
		if by != "" && (method == "" || Expired(store.CredentialCertificate, found.ExpiresAt(), now) != nil) {
			found, method = registered, by
		}
	}
	if method == "" || peer.Unverified {
		return Proof{}, wrongCertificate(peer, names, chain, inForce)
	}
	r.Method = method
	return Proof{
		CredentialID: found.ID, Kind: store.CredentialCertificate, ExpiresAt: found.ExpiresAt(),
		Until: peer.Leaf.NotAfter.Add(time.Second), // its last second is in force
	}, nil
}

// certificateFault is why a chain proves nothing, in words of our own.
type certificateFault string

// Error returns the words.
func (f certificateFault) Error() string { return string(f) }

var errNoAuthorities error = certificateFault("the server has no authorities (tls.client_ca_file)")

// maxShownNames bounds how many names of a certificate are repeated to the
// client's organization.
const maxShownNames = 5

// wrongCertificate returns the one answer to an unknown client, a certificate
// of nobody's and one that is registered for another client.
func wrongCertificate(peer PeerCertificate, names []clientcert.Name, chain, inForce error) *Mismatch {
	m := &Mismatch{
		Credential: "client certificate",
		Word:       "certificate",
		Reason:     "wrong_certificate",
		Description: "client authentication failed: the client is unknown, or the certificate is wrong, expired, " +
			"or not registered for it",
	}
	var shown []string
	for _, name := range names[:min(len(names), maxShownNames)] {
		shown = append(shown, untrusted.Line(untrusted.Cut(name.String(), 100)))
	}
	why := []string{"The certificate (" + strings.Join(shown, ", ") + ", SHA-256 " +
		clientcert.Of(peer.Leaf).Value + ") is none that is registered for this client."}
	switch {
	case peer.Unverified:
		why = append(why, "The proxy that it was shown to has not found it right (tls.client_cert_verified_header).")
	case inForce != nil:
		why = append(why, "It is not in force: "+inForce.Error()+".")
	case chain != nil:
		why = append(why, "By a name it can't count: "+chain.Error()+".")
	}
	m.Detail = strings.Join(why, " ")
	return m
}
