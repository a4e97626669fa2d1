package clientauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/federation"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/remotekeys"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
)

const (
	// maxAhead is how far ahead an assertion's exp may be.
	maxAhead = 24 * time.Hour
	maxJTI   = 512 // bytes
)

// PrivateKeyConfig is what [PrivateKey] stands on.
type PrivateKeyConfig struct {
	Issuer     string   // what aud must be
	TokenURLs  []string // what aud may be for keys that say so
	RequireJTI bool     // refuse an assertion without jti
	Uses       *Uses
	Keys       *remotekeys.Keys // that clients publish
	Signatures *Signatures
	Clock      func() time.Time
}

// PrivateKey is the method private_key_jwt: a client signs an assertion of
// itself with its private key (RFC 7523 §2.2 and §3, RFC 10070).
type PrivateKey struct {
	cfg     PrivateKeyConfig
	nobodys func() []crypto.PublicKey // one of each type, that no private key is known of
}

// NewPrivateKey returns the method.
func NewPrivateKey(cfg PrivateKeyConfig) *PrivateKey {
	return &PrivateKey{cfg: cfg, nobodys: sync.OnceValue(makeNobodys)}
}

// makeNobodys makes one public key of each type. It is called when the first
// is needed: the tables of the larger curves take two megabytes.
func makeNobodys() []crypto.PublicKey {
	var all []crypto.PublicKey
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err) // crypto/rand never fails
		}
		all = append(all, &key.PublicKey)
	}
	key, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	modulus := make([]byte, jwk.MinRSABits/8)
	_, _ = rand.Read(modulus)
	modulus[0] |= 0x80
	modulus[len(modulus)-1] |= 1
	return append(all, key, &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537})
}

// clientKey is a public key of a client, parsed once for all requests.
type clientKey struct {
	store.StoredCredential
	jwk.Verifier
	tokenURL bool // the token URL may be the audience
}

// clientKeys parses a client's public keys, the newest first. It leaves out
// what it can't read, which another release may have written.
func clientKeys(stored []store.StoredCredential) []clientKey {
	if len(stored) == 0 {
		return nil
	}
	keys := make([]clientKey, 0, len(stored))
	for _, one := range stored {
		material, err := store.ParseKeyMaterial(one.Material)
		if err != nil || material.JWK == nil {
			continue
		}
		if verifier, err := material.JWK.Verifier(); err == nil {
			keys = append(keys, clientKey{one, verifier, material.AcceptTokenURLAudience})
		}
	}
	slices.SortFunc(keys, func(a, b clientKey) int { return strings.Compare(b.ID, a.ID) })
	return keys
}

// wrongKey is the one answer to an unknown client, one without keys, and a
// signature that is none of its keys'.
var wrongKey = &Mismatch{
	Credential: "client assertion",
	Word:       "assertion",
	Reason:     "wrong_key",
	Description: "client authentication failed: the client is unknown, or the assertion is signed with none of its " +
		"keys, or with one that was removed",
	Detail: "The assertion is signed with none of this client's public keys, or names another alg or kid than they " +
		"have. Of keys with the same algorithm, at most 4 are tried: write the kid into the header.",
}

// wrongTokenURL is the same answer, to an assertion for the token URL.
var wrongTokenURL = func() *Mismatch {
	m := *wrongKey
	m.Description += "; and its aud is the token URL: make it the issuer, or let the key have accept_token_url_audience"
	m.Detail = "The assertion's aud is the token URL, and no key of this client with accept_token_url_audience has " +
		"signed it."
	return &m
}()

// Names implements [Method].
func (*PrivateKey) Names() []string { return []string{"private_key_jwt"} }

// Present implements [Method].
func (*PrivateKey) Present(r *Request) bool { return r.ownAssertion() }

// Costly implements [Method].
func (*PrivateKey) Costly() bool { return true }

// ClientID implements [Method]. The assertion's iss and sub are the client (RFC
// 7523 §3), and so is client_id if it is sent (RFC 7521 §4.2).
func (*PrivateKey) ClientID(_ context.Context, r *Request) (string, error) {
	a, err := r.ReadAssertion()
	switch {
	case err != nil:
		return "", badAssertion("malformed_assertion", "%s", err)
	case !a.JWS.Typed(assertionTypes...):
		return a.Issuer, badAssertion("malformed_assertion", "%s", errKind)
	case r.ClientID != "" && r.ClientID != a.Issuer:
		return "", malformed("client_id is another client than the assertion's iss: leave it out, or send the same")
	case a.Subject != a.Issuer:
		return a.Issuer, badAssertion("assertion_sub",
			"the assertion's sub is not its iss: expected the client_id in both")
	}
	return a.Issuer, nil
}

// badAssertion returns the refusal of an assertion that no key could make
// right. It depends on the assertion alone.
func badAssertion(reason, format string, args ...any) *oautherr.Error {
	return oautherr.New(oautherr.CodeInvalidClient, reason, format, args...)
}

// Verify implements [Method]. The signature comes last, because it costs most,
// and after those of registered keys those of keys that must be fetched.
func (p *PrivateKey) Verify(ctx context.Context, r *Request, client *Client) (Proof, error) {
	a, err := r.ReadAssertion()
	if err != nil {
		return Proof{}, badAssertion("malformed_assertion", "%s", err)
	}
	if refusal := p.checkClaims(a); refusal != nil {
		return Proof{}, refusal
	}
	mismatch, tokenURL := wrongKey, a.Audience[0] != p.cfg.Issuer
	if tokenURL {
		mismatch = wrongTokenURL
	}
	if r.work == nil {
		r.work = p.cfg.Signatures.newWork(r)
	}
	search, detail := &search{Assertion: a, tokenURL: tokenURL, work: r.work}, ""
	found := search.amongOwn(ctx, client.keys)
	if found == nil {
		if found, detail, err = p.amongPublished(ctx, client, search); err != nil {
			return Proof{}, err
		}
	}
	if found != nil {
		p.cfg.Signatures.remember(r, client)
		return p.proof(client, found, a), nil
	}
	if r.work.Signatures() == 0 {
		p.checkInVain(ctx, r.work, &a.JWS)
	}
	if err := r.work.Err(); err != nil {
		return Proof{}, err
	}
	if detail != "" {
		with := *mismatch
		with.Detail, with.Unjudged = detail+with.Detail, search.away
		mismatch = &with
	}
	return Proof{}, mismatch
}

// mayHaveSigned reports whether the key has the assertion's algorithm and id.
// Its id in our API is one, too.
func (k *clientKey) mayHaveSigned(a *Assertion) bool {
	return k.Fits(a.JWS.Alg, a.JWS.Kid) || a.JWS.Kid == k.ID && k.Fits(a.JWS.Alg, "")
}

// checkInVain does the work of checking a signature, so that the time tells
// nobody which clients exist and which keys they have.
func (p *PrivateKey) checkInVain(ctx context.Context, work *federation.Work, jws *verify.JWS) {
	for _, key := range p.nobodys() {
		if slices.Contains(jwk.Algorithms(key), jws.Alg) {
			work.SignedBy(ctx, jws, key)
		}
	}
}

func (p *PrivateKey) proof(client *Client, key *store.StoredCredential, a *Assertion) Proof {
	proof := Proof{CredentialID: key.ID, Kind: store.CredentialKey, ExpiresAt: key.ExpiresAt()}
	if a.JTI != "" {
		proof.Commit = func(ctx context.Context) error {
			return p.cfg.Uses.Use(ctx, Once{client, a.JTI, a.notBefore(), a.ExpiresAt, assertionSkew})
		}
	}
	return proof
}

// checkClaims does the checks of RFC 7523 §3 that need no key: aud (RFC 10070:
// the issuer alone), the times and jti.
func (p *PrivateKey) checkClaims(a *Assertion) *oautherr.Error {
	now := p.cfg.Clock()
	switch {
	case len(a.Audience) == 0:
		return badAssertion("assertion_aud", "the assertion has no aud: expected the issuer, %s", p.cfg.Issuer)
	case len(a.Audience) > 1:
		return badAssertion("assertion_aud",
			"the assertion's aud has more than one value: expected the issuer alone, %s", p.cfg.Issuer)
	case a.Audience[0] != p.cfg.Issuer && !slices.Contains(p.cfg.TokenURLs, a.Audience[0]):
		return badAssertion("assertion_aud", "the assertion is for somebody else: expected the issuer as its aud, to "+
			"the letter: %s", p.cfg.Issuer)
	case a.ExpiresAt.IsZero():
		return badAssertion("assertion_exp", "the assertion has no exp: expected a moment soon, such as 60 s ahead")
	case !now.Before(a.ExpiresAt.Add(assertionSkew)):
		return badAssertion("assertion_expired", "the assertion has expired: make one for each request, and compare "+
			"the clocks")
	case a.ExpiresAt.After(now.Add(maxAhead + assertionSkew)):
		return badAssertion("assertion_exp",
			"the assertion's exp is too far ahead: expected at most 24 h, better 60 s")
	case a.NotBefore.After(now.Add(assertionSkew)):
		return badAssertion("assertion_early", "the assertion is not valid yet (nbf): compare the clocks")
	case a.IssuedAt.After(now.Add(assertionSkew)):
		return badAssertion("assertion_early", "the assertion was issued in the future (iat): compare the clocks")
	case a.JTI == "" && p.cfg.RequireJTI:
		return badAssertion("assertion_jti",
			"the assertion has no jti: this server demands one, new for each assertion")
	case len(a.JTI) > maxJTI:
		return badAssertion("assertion_jti", "the assertion's jti is longer than %d bytes", maxJTI)
	}
	return nil
}
