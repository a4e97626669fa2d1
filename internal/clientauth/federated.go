package clientauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/federation"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// AssertionSPIFFE is the client_assertion_type of a JWT-SVID
// (draft-ietf-oauth-spiffe-client-auth).
const AssertionSPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"

// FederatedConfig is what [Federated] stands on.
type FederatedConfig struct {
	Issuer     string // this server's
	Verifier   federation.Verifier
	Store      *store.Store
	Uses       *Uses
	Signatures *Signatures
	// PrivateKey is whose work is done for a token that fits nothing.
	PrivateKey *PrivateKey
	Clock      func() time.Time
}

// Federated returns the methods by which a client proves itself with a token of
// another issuer: as client_assertion (RFC 7523 §2.2), and as the subject_token
// of a token exchange (RFC 8693 §2.1), where it stands for the client, too.
func Federated(cfg FederatedConfig) []Method {
	f := &federated{cfg: cfg, found: store.NewShared[string, []store.CredentialRow](cfg.Store)}
	return []Method{foreignAssertion{f}, subjectToken{f}}
}

// federated verifies tokens of other issuers, wherever in the request they
// stand.
type federated struct {
	cfg   FederatedConfig
	found *store.Shared[string, []store.CredentialRow]
}

// clientPolicy is a federated credential of a client, parsed once for all
// requests.
type clientPolicy struct {
	store.StoredCredential
	*federation.Policy
}

// clientPolicies parses a client's federated credentials, the newest first. It
// leaves out what it can't read, which another release may have written.
func clientPolicies(stored []store.StoredCredential) (policies []clientPolicy) {
	for _, one := range stored {
		if policy, err := federation.Parse(one.Material); err == nil {
			policies = append(policies, clientPolicy{one, policy})
		}
	}
	slices.SortFunc(policies, func(a, b clientPolicy) int { return strings.Compare(b.ID, a.ID) })
	return policies
}

// wrongForeign returns the one answer to an unknown client, one without such a
// credential, and a token that fits none or is signed by somebody else. detail
// says which, and which rule it was.
func wrongForeign(detail string) *Mismatch {
	return &Mismatch{
		Credential: "client assertion",
		Word:       "assertion",
		Reason:     "wrong_federated",
		Description: "client authentication failed: the client is unknown, or the assertion fits none of its " +
			"federated " +
			"credentials; its organization can try the assertion: svcauth federated-credential test",
		Detail: detail,
	}
}

// unreadable is the refusal of an assertion that no credential could fit.
const unreadable = "malformed_assertion"

// Names returns none: RFC 8414 has no registered name for it beside
// private_key_jwt, which the metadata has already.
func (*federated) Names() []string { return nil }

// Costly implements [Method].
func (*federated) Costly() bool { return true }

// token reads the token of a request once.
func (r *Request) token() (*federation.Token, error) {
	if r.foreign != nil {
		return r.foreign, nil
	}
	var a *Assertion
	var err error
	if r.SubjectToken != "" {
		a, err = parseAssertion(r.SubjectToken)
	} else {
		a, err = r.ReadAssertion()
	}
	if err != nil {
		return nil, badAssertion(unreadable, "%s", err)
	}
	if r.foreign, err = federation.Read(&a.JWS, a.Payload); err != nil {
		return nil, badAssertion(unreadable, "%s", err)
	}
	return r.foreign, nil
}

// ClientID implements [Method]: client_id, or whose the one credential is that
// the token fits. Without client_id the organization must be named, by the
// audience or by the id of the credential: nobody can lie in wait for another's
// tokens with a credential of their own.
func (f *federated) ClientID(ctx context.Context, r *Request) (string, error) {
	t, err := r.token()
	switch {
	case err != nil:
		return r.ClientID, err
	case t.Issuer == "" && t.TrustDomain() == "":
		return r.ClientID, badAssertion("assertion_iss", "the assertion has no iss: expected the client_id in iss and "+
			"sub if the client has signed it itself, else its issuer")
	case t.Issuer == f.cfg.Issuer:
		return r.ClientID, badAssertion("assertion_own", "the assertion is a token of this server itself, which "+
			"proves no "+
			"client: expected one of another issuer")
	case r.ClientID != "":
		return r.ClientID, nil
	case r.FederatedID != "":
		id, err := f.cfg.Store.Read().FederatedClient(ctx, r.FederatedID)
		if errors.Is(err, store.ErrNotFound) {
			return "", nil
		}
		return id, err
	}
	orgID := t.Organization(f.cfg.Issuer)
	if orgID == "" && svcauth.ValidClientID(t.Subject) {
		return "", badAssertion("assertion_iss", "the assertion's sub is a client_id, and its iss is not: expected "+
			"the client_id in both if the client has signed it itself; else send client_id")
	}
	if orgID == "" {
		return "", badAssertion("assertion_aud", "nothing says whose the assertion is: send client_id, or have "+
			"the issuer "+
			"make it for the audience %s", federation.OrganizationAudience(f.cfg.Issuer, "<organization id>"))
	}
	return f.only(ctx, orgID, t)
}

// maxFound bounds how many credentials for one issuer and subject an
// organization may have before none of them is found without a client_id.
const maxFound = 50

// only returns the client whose credential is the only one of an organization
// that a token fits, or an empty id.
func (f *federated) only(ctx context.Context, orgID string, t *federation.Token) (string, error) {
	lookups := []string{store.FederatedLookup(t.Issuer, t.Subject), store.FederatedLookup(t.Issuer, "")}
	if domain := t.TrustDomain(); domain != "" {
		lookups = append(lookups, store.FederatedLookup(domain, t.Subject))
	}
	key := orgID + lookups[0] + lookups[len(lookups)-1]
	rows, err := f.found.Do(ctx, key, func(ctx context.Context) ([]store.CredentialRow, error) {
		return f.cfg.Store.Read().CredentialsByLookup(ctx, orgID, lookups, maxFound+1)
	})
	if err != nil || len(rows) > maxFound {
		return "", err
	}
	now, found := f.cfg.Clock(), ""
	for _, row := range rows {
		if row.ExpiresAt != nil && !row.ExpiresAt.After(now) {
			continue
		}
		policy, err := federation.Parse(row.Material)
		if err != nil || federation.Judge(policy, t, federation.Context{
			Own: f.cfg.Issuer, OrgID: orgID, Now: now,
		}) != nil {
			continue
		}
		if found != "" && found != row.ClientID {
			return "", nil
		}
		found = row.ClientID
	}
	return found, nil
}

// Verify implements [Method]. What costs less comes first, and keys are fetched
// only for a policy that the token fits in everything else.
func (f *federated) Verify(ctx context.Context, r *Request, client *Client) (Proof, error) {
	t, err := r.token()
	if err != nil {
		return Proof{}, err
	}
	if r.work == nil {
		r.work = f.cfg.Signatures.newWork(r)
	}
	rules := federation.Context{Own: f.cfg.Issuer, OrgID: client.OrgID, Now: f.cfg.Clock()}
	var detail string
	var away, wrong bool
	for _, p := range client.mayFit(t, r.FederatedID, rules.Now) {
		failure := federation.Judge(p.Policy, t, rules)
		if failure == nil {
			failure = f.cfg.Verifier.Verify(ctx, p.Policy, t, rules, client.Operator, r.work)
			away = away || failure != nil && failure.Unjudged
			wrong = wrong || failure != nil && !failure.Unjudged
		}
		if failure == nil {
			f.cfg.Signatures.remember(r, client)
			return f.proof(client, p, t), nil
		}
		if detail == "" {
			detail = "The assertion does not fit the federated credential " + p.ID + " (" + p.Name + "): rule " +
				failure.Rule + ", which expects " + failure.Expected + "."
		}
	}
	if r.work.Signatures() == 0 {
		f.cfg.PrivateKey.checkInVain(ctx, r.work, t.JWS)
	}
	if err := r.work.Err(); err != nil {
		return Proof{}, err
	}
	if detail == "" {
		detail = "The assertion's issuer and subject are those of none of this client's federated credentials."
	}
	mismatch := wrongForeign(detail)
	mismatch.Unjudged = away && !wrong
	if r.ClientID == t.Subject { // a client that writes something else as iss of its own
		mismatch.Description += "; an assertion that a client signs itself has the client_id as its iss, too"
	}
	return Proof{}, mismatch
}

// mayFit returns the policies for the issuer and the subject of a token, or of
// them the one with an id if that is not empty. Those that have expired come
// last: one that was made in their place counts.
func (c *Client) mayFit(t *federation.Token, id string, now time.Time) (found []clientPolicy) {
	var expired []clientPolicy
	for _, p := range c.policies {
		switch {
		case !p.Found(t) || id != "" && p.ID != id:
		case Expired(store.CredentialFederated, p.ExpiresAt(), now) != nil:
			expired = append(expired, p)
		default:
			found = append(found, p)
		}
	}
	return append(found, expired...)
}

// proof returns what a token that fits a policy proves.
func (f *federated) proof(client *Client, p clientPolicy, t *federation.Token) Proof {
	proof := Proof{
		CredentialID: p.ID, Kind: store.CredentialFederated, ExpiresAt: p.ExpiresAt(), Until: t.ExpiresAt,
		Ceiling: slices.Clone(p.Privileges), Issuer: t.Issuer, Subject: t.Subject,
	}
	if p.TTLSeconds > 0 {
		proof.Until = f.cfg.Clock().Add(time.Duration(p.TTLSeconds) * time.Second)
	}
	if p.OneTime {
		proof.Commit = func(ctx context.Context) error {
			return f.cfg.Uses.Use(ctx, Once{client, p.ID + " " + t.JTI, t.IssuedAt, t.ExpiresAt, 0})
		}
	}
	return proof
}

// foreignAssertion is a token of another issuer as client_assertion.
type foreignAssertion struct{ *federated }

// Present implements [Method].
func (foreignAssertion) Present(r *Request) bool {
	return r.Assertion != "" && (r.AssertionType == AssertionSPIFFE ||
		r.AssertionType == AssertionJWT && !r.ownAssertion())
}

// subjectToken is a token of another issuer as the subject_token of a token
// exchange.
type subjectToken struct{ *federated }

// Present implements [Method].
func (subjectToken) Present(r *Request) bool { return r.SubjectToken != "" }

// readExchange reads what a token exchange says of its client: the token, and
// the credential if the audience names one.
func (r *Request) readExchange(param func(name string) string) {
	if param("grant_type") != GrantTokenExchange {
		return
	}
	r.SubjectToken = param("subject_token")
	if audience := param("audience"); svcauth.ValidID(svcauth.PrefixFederated, audience) {
		r.FederatedID = audience
	}
}

// GrantTokenExchange is the grant_type of RFC 8693 §2.1.
const GrantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
