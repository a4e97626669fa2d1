// Package clientauth owns how a client proves who it is (RFC 6749 §2.3): what a
// request says about its client, the methods by which that is verified, and the
// snapshots of clients that are verified against.
//
// [Authenticator.Authenticate] runs the same steps for every [Method], so that
// none can forget one. A new method is one file with its type, and one line in
// [Methods].
//
// It refuses to know: what a client may do and what its token carries (packages
// access and token), routes and how answers are written, SQL.
package clientauth

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/svcauth/svcauth/internal/audit"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Method is one way for a client to prove who it is.
type Method interface {
	// Names returns what the metadata calls the method, RFC 8414 §2:
	// token_endpoint_auth_methods_supported.
	Names() []string
	// Present reports whether a request uses the method, rightly or not.
	Present(*Request) bool
	// ClientID returns the client that the request claims to come from. It
	// verifies nothing. An error is an [*oautherr.Error].
	ClientID(context.Context, *Request) (string, error)
	// Costly reports whether Verify or ClientID checks a signature or fetches
	// keys. That is done only for as long as the limit of wrong proofs has not
	// been reached.
	Costly() bool
	// Verify checks the request's proof against what is known of the client. An
	// unknown client has no credentials, and must cost as much time as a proof
	// that is wrong. A [*Mismatch] says that the proof does not fit. Any other
	// error is an [*oautherr.Error], or one of the store's.
	Verify(context.Context, *Request, *Client) (Proof, error)
}

// Proof is what a method found right.
type Proof struct {
	CredentialID string    // the claim cred of the tokens that are got with it
	Kind         string    // of the credential, such as [store.CredentialSecret]
	ExpiresAt    time.Time // when the credential expires, which no token outlives; zero: never

	// Until is another moment that no token outlives: the end of the assertion
	// of another issuer, or of the certificate. Zero: there is none.
	Until time.Time
	// Ceiling is the privileges that tokens carry at most; nil: there is none.
	Ceiling []string
	// Issuer and Subject are whom a foreign assertion is of, for the log and
	// the audit log.
	Issuer, Subject string

	// Commit uses up what may be used once, such as the jti of an assertion. It
	// is called just before the work that the client asked for, when nothing
	// that costs less can fail any more. nil: there is nothing to use up.
	Commit func(context.Context) error
}

// described names the credential, and whose token of another issuer fits it.
func (p Proof) described() string {
	if p.Subject == "" {
		return Called(p.CredentialID)
	}
	return Called(p.CredentialID) + ", by a token of " + untrusted.Quotable(p.Issuer, maxShown) +
		" for " + untrusted.Quotable(p.Subject, maxShown)
}

// Mismatch is the error of a proof that does not fit the client. All that a
// method has differ in their Detail alone: an unknown client and a wrong proof
// get the same answer.
type Mismatch struct {
	Credential  string // in words, in the singular: "client secret"
	Word        string // the shorter one that follows it in a sentence: "secret"
	Reason      string // for the log, if there is such a client
	Description string // for the caller
	// Detail is for the client's organization alone: what was wrong with the
	// proof, or by which rule of the client's it failed. A caller never sees
	// it.
	Detail string
	// Unjudged says that the proof may be right: the keys to check it with
	// could not be fetched. It counts for no more than what was checked.
	Unjudged bool
}

// Error returns the description.
func (m *Mismatch) Error() string { return m.Description }

// Authentication is a client that has proven who it is.
type Authentication struct {
	*Client
	Proof

	Method string // its name in the metadata
	// Certificate is what the client has shown in TLS, whether or not it has
	// proven itself by it.
	Certificate PeerCertificate
	IP          netip.Addr // where the request came from; zero: not known
}

// Use calls Commit, if there is one.
func (a *Authentication) Use(ctx context.Context) *oautherr.Error {
	if a.Commit == nil {
		return nil
	}
	if err := a.Commit(ctx); err != nil {
		return oautherr.From(err)
	}
	return nil
}

// Config is what an [Authenticator] stands on.
type Config struct {
	Methods []Method
	Clients *Clients
	Store   *store.Store
	Cache   *cache.Cache // counts wrong proofs
	Audit   *audit.Log   // is told of wrong proofs; nil: it is not

	// Certificates reads what the TLS client of a request has shown. If it is
	// nil, only the connection is asked.
	Certificates *CertificateReader

	Clock  func() time.Time
	Logger *slog.Logger
}

// Authenticator authenticates clients. It is safe for concurrent use.
type Authenticator struct {
	cfg   Config
	names []string
	used  *lastUsed
}

// New returns an Authenticator. Its [Authenticator.Run] must run beside it.
func New(cfg Config) *Authenticator {
	if cfg.Certificates == nil {
		cfg.Certificates = &CertificateReader{}
	}
	a := &Authenticator{cfg: cfg, used: newLastUsed(cfg)}
	for _, m := range cfg.Methods {
		a.names = append(a.names, m.Names()...)
	}
	return a
}

// MethodNames returns the names of all methods, in their order, for the
// metadata. The slice must not be changed.
func (a *Authenticator) MethodNames() []string { return a.names }

// Run writes down from time to time when clients and credentials were last
// used, until ctx is done, and what is left then.
func (a *Authenticator) Run(ctx context.Context) error {
	a.used.run(ctx)
	return nil
}

// Authenticate returns the client that a request comes from. It sets
// Request.ClientID and Claimed to the client that the request claims to come
// from, and CredentialID to what it has proven that by, as soon as it knows.
//
// Unknown clients and wrong proofs get the same answer after the same work.
// Only a caller with a right proof learns that its client is disabled or the
// credential has expired. Wrong proofs are counted by client and address and by
// address, and are answered with 429 beyond the limit. A right one is always
// served.
func (a *Authenticator) Authenticate(ctx context.Context, r *Request) (Authentication, *oautherr.Error) {
	began := a.cfg.Clock()
	method, refusal := a.method(r)
	if refusal != nil {
		return Authentication{}, refusal
	}
	r.Method = methodName(method)
	if method.Costly() {
		if refusal := a.limited(r.ClientID, r.IP); refusal != nil {
			return Authentication{}, refusal
		}
	}
	id, err := method.ClientID(ctx, r)
	if err != nil {
		return Authentication{}, oautherr.From(err)
	}
	if method.Costly() && id != r.ClientID {
		if refusal := a.limited(id, r.IP); refusal != nil {
			return Authentication{}, refusal
		}
	}
	r.ClientID = id
	client, err := a.cfg.Clients.Get(ctx, id)
	if err != nil {
		return Authentication{}, oautherr.From(err)
	}
	client, proof, err := a.verify(ctx, method, r, client, began)
	r.Claimed = client
	var mismatch *Mismatch
	switch {
	case errors.As(err, &mismatch):
		return Authentication{}, a.refuse(client, method, mismatch, r)
	case err != nil:
		return Authentication{}, oautherr.From(err)
	}
	r.CredentialID = proof.CredentialID
	if refusal := a.mayBeUsed(client, proof); refusal != nil {
		a.record(client, refusal.Description+" ("+proof.described()+")", r.IP, client.AuditActor())
		return Authentication{}, refusal
	}
	return Authentication{
		Client: client, Proof: proof, Method: r.Method, Certificate: r.Certificate, IP: r.IP,
	}, nil
}

// verify checks the proof of a request that began at a moment. If it doesn't
// fit what is remembered of the client, the client is read anew and the proof
// is checked once more: a credential may be there since.
func (a *Authenticator) verify(
	ctx context.Context,
	method Method,
	r *Request,
	client *Client,
	began time.Time,
) (*Client, Proof, error) {
	proof, err := method.Verify(ctx, r, client)
	var mismatch *Mismatch
	if !errors.As(err, &mismatch) || !svcauth.ValidClientID(r.ClientID) || !client.mayBeOutdated(began, r.IP) {
		return client, proof, err
	}
	fresh, err := a.cfg.Clients.reread(ctx, r.ClientID, limits.NetworkOf(r.IP))
	switch {
	case err != nil:
		return fresh, Proof{}, err
	case client.Same(fresh.Credentials): // the same would be found wrong again
		return fresh, Proof{}, mismatch
	}
	proof, err = method.Verify(ctx, r, fresh)
	return fresh, proof, err
}

// method returns the one method that a request uses: RFC 6749 §2.3 allows no
// more than one. A secret beside an assertion is a second one, even an empty
// secret in the Authorization header: so some libraries ask first, and then
// again without it, with the same assertion.
func (a *Authenticator) method(r *Request) (found Method, refusal *oautherr.Error) {
	if refusal := r.assertionFault(); refusal != nil {
		return nil, refusal
	}
	for _, m := range a.cfg.Methods {
		if !m.Present(r) {
			continue
		}
		if found != nil {
			return nil, twoWays()
		}
		found = m
	}
	if r.Assertion != "" && (r.Basic != nil || r.Secret != "") {
		return nil, twoWays()
	}
	if found == nil {
		return nil, a.withoutMethod(r)
	}
	return found, nil
}

// withoutMethod tells the sender of a request that uses no method what it
// lacks.
func (a *Authenticator) withoutMethod(r *Request) *oautherr.Error {
	switch {
	case r.Assertion != "":
		return malformed("client_assertion_type is none that is known here: expected " + AssertionJWT)
	case r.Certificate.Leaf != nil && r.ClientID == "":
		return oautherr.New(oautherr.CodeInvalidClient, "no_credential", "no client authentication: "+
			"a certificate alone says nothing; send client_id in the body (RFC 8705 section 2)")
	case r.ClientID != "" && takesCertificates(a.cfg.Methods):
		return noCertificate()
	}
	return noCredential()
}

// MethodFederated is what [Authentication].Method calls a token of another
// issuer, for which the metadata has no name.
const MethodFederated = "federated"

// methodName returns what a method is called in our own records.
func methodName(m Method) string {
	if names := m.Names(); len(names) > 0 {
		return names[0]
	}
	return MethodFederated
}

// howToAuthenticate is for who does not.
const howToAuthenticate = "no client authentication: send client id and secret by HTTP Basic, " +
	"or as client_id and client_secret in the body, or a client_assertion"

func noCredential() *oautherr.Error {
	return oautherr.New(oautherr.CodeInvalidClient, "no_credential", howToAuthenticate)
}

func twoWays() *oautherr.Error {
	return malformed("the client authenticates in two ways at once: use one of HTTP Basic, a client_secret or a " +
		"client_assertion in the body, or a certificate, and leave the Authorization header out where it is not used")
}

// malformed returns the error for a request whose client authentication can't
// be read.
func malformed(text string) *oautherr.Error {
	return oautherr.New(oautherr.CodeInvalidRequest, "malformed", "%s", text)
}

// record tells the client's organization of a failed authentication. It does
// the same work for an unknown client.
func (a *Authenticator) record(client *Client, reason string, ip netip.Addr, actor svcauth.AuditActor) {
	a.cfg.Audit.Note(svcauth.AuditEvent{
		Time: a.cfg.Clock().UTC(), OrganizationID: client.OrgID, Action: "client.authenticate",
		Target: client.auditTarget(), Actor: actor,
		Outcome: svcauth.OutcomeRefused, Reason: reason, IP: ip.String(),
	})
}

// mayBeUsed tells a caller with a right proof why the client can't be used, if
// it can't, and else records the use.
func (a *Authenticator) mayBeUsed(client *Client, proof Proof) *oautherr.Error {
	now := a.cfg.Clock()
	if refusal := Expired(proof.Kind, proof.ExpiresAt, now); refusal != nil {
		return refusal
	}
	if refusal := SwitchedOff(client.Credentials); refusal != nil {
		return refusal
	}
	if refusal := Refused(proof.Kind, client.Credentials); refusal != nil {
		return refusal
	}
	a.used.record(client, proof.CredentialID, now)
	return nil
}
