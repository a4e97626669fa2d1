package federation

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/remotekeys"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/internal/verify"
)

// The rules, by their names.
const (
	RuleIssuer    = "issuer"
	RuleSubject   = "subject"
	RuleClaims    = "claims"
	RuleAudience  = "audience"
	RuleExpiry    = "expiry"
	RuleNotBefore = "not_before"
	RuleAge       = "age"
	RuleOneTime   = "one_time"
	RuleType      = "type"
	RuleAlgorithm = "algorithm"
	RuleKey       = "key"
	RuleSignature = "signature"
)

// Failure is the first rule that a token fails, and why.
type Failure struct {
	Rule, Expected, Got string

	// Unjudged says that the token may be right: there were no keys to check
	// its signature with, since they could not be fetched.
	Unjudged bool
}

// Error returns all of it in one sentence.
func (f *Failure) Error() string {
	return fmt.Sprintf("the rule %s: expected %s, got %s", f.Rule, f.Expected, f.Got)
}

// Context is what the rules need to know beside policy and token.
type Context struct {
	Own   string // this server's issuer
	OrgID string // whose the credential is
	Now   time.Time
}

// skew is how far the clock of an issuer may be ahead.
const skew = 30 * time.Second

// rule reports what a token should have, and what it has instead; got is empty
// if the token has it.
type rule struct {
	name  string
	check func(p *Policy, t *Token, c Context) (expected, got string)
}

// rules are all that need no key, in the order in which they are looked at:
// what a credential is found by comes first.
var rules = []rule{
	{RuleIssuer, checkIssuer},
	{RuleSubject, checkSubject},
	{RuleClaims, checkClaims},
	{RuleAudience, checkAudience},
	{RuleExpiry, checkExpiry},
	{RuleNotBefore, checkNotBefore},
	{RuleAge, checkAge},
	{RuleOneTime, checkOneTime},
	{RuleType, checkType},
	{RuleAlgorithm, checkAlgorithm},
}

// Judge returns the first rule that a token fails of those that need no key, or
// nil.
func Judge(p *Policy, t *Token, c Context) *Failure {
	for _, r := range rules {
		if expected, got := r.check(p, t, c); got != "" {
			return &Failure{Rule: r.name, Expected: expected, Got: got}
		}
	}
	return nil
}

// Found reports whether a token is of the issuer and the subject that the
// policy is for.
func (p *Policy) Found(t *Token) bool {
	_, issuer := checkIssuer(p, t, Context{})
	_, subject := checkSubject(p, t, Context{})
	return issuer == "" && subject == ""
}

func checkIssuer(p *Policy, t *Token, _ Context) (expected, got string) {
	switch {
	case p.isTrustDomain() && t.TrustDomain() != p.Issuer:
		return "a sub in the trust domain " + p.Issuer, or(t.Subject)
	case !p.isTrustDomain() && t.Issuer != p.Issuer:
		return p.Issuer, or(t.Issuer)
	}
	return "", ""
}

func checkSubject(p *Policy, t *Token, _ Context) (expected, got string) {
	if p.Subject != "" && t.Subject != p.Subject {
		return p.Subject, or(t.Subject)
	}
	return "", ""
}

// or returns a text as it is shown, or a word for none.
func or(text string) string {
	if text == "" {
		return "none"
	}
	return shown(text)
}

func checkClaims(p *Policy, t *Token, _ Context) (expected, got string) {
	for _, name := range sortedNames(p.Claims) {
		text, found := t.text(name)
		if found == "" && text != p.Claims[name] {
			found = or(text)
		}
		if found != "" {
			return name + " = " + p.Claims[name], found
		}
	}
	return "", ""
}

// checkAudience is RFC 7519 §4.1.3, and that no token for somebody else may be
// used here: the audience is the only one.
func checkAudience(p *Policy, t *Token, c Context) (expected, got string) {
	sole := t.sole()
	switch {
	case sole != "" && p.Audience != "" && sole == p.Audience,
		sole != "" && p.Audience == "" && (sole == c.Own || sole == OrganizationAudience(c.Own, c.OrgID)):
		return "", ""
	case p.Audience != "":
		expected = p.Audience
	default:
		expected = c.Own + ", or " + OrganizationAudience(c.Own, c.OrgID)
	}
	if len(t.Audience) > 1 {
		return expected + ", alone", shown(strings.Join(t.Audience, ", "))
	}
	return expected, or(sole)
}

func checkExpiry(_ *Policy, t *Token, c Context) (expected, got string) {
	switch {
	case t.ExpiresAt.IsZero():
		return "an exp", "none"
	case t.ExpiresAt.Unix() <= c.Now.Unix(): // ours ends with it, and must live for a second
		return "an exp after " + moment(c.Now), moment(t.ExpiresAt)
	}
	return "", ""
}

func checkNotBefore(_ *Policy, t *Token, c Context) (expected, got string) {
	for _, at := range []time.Time{t.NotBefore, t.IssuedAt} {
		if at.After(c.Now.Add(skew)) {
			return "nbf and iat not after " + moment(c.Now), moment(at)
		}
	}
	return "", ""
}

// checkAge bounds how long a token that was stolen is of use. One without iat
// is judged by its exp.
func checkAge(p *Policy, t *Token, c Context) (expected, got string) {
	most := time.Duration(p.MaxAge) * time.Second
	switch {
	case t.IssuedAt.IsZero() && t.ExpiresAt.Sub(c.Now) > most:
		return "an iat, or an exp at most " + timespan.Text(most) + " ahead", moment(t.ExpiresAt)
	case !t.IssuedAt.IsZero() && c.Now.Sub(t.IssuedAt) > most+skew:
		return "an iat at most " + timespan.Text(most) + " ago", moment(t.IssuedAt)
	}
	return "", ""
}

// MaxJTISize bounds the id of a token that works once, in bytes.
const MaxJTISize = 1024

func checkOneTime(p *Policy, t *Token, _ Context) (expected, got string) {
	if p.OneTime && (t.JTI == "" || len(t.JTI) > MaxJTISize) {
		return fmt.Sprintf("a jti of at most %d bytes", MaxJTISize), or(t.JTI)
	}
	return "", ""
}

// types are what the header may call a token (RFC 8725 §3.11): untyped ones,
// those of SPIFFE, and client assertions. What is explicitly something else,
// such as a logout token, is nobody's proof.
var types = []string{"", "jwt", "jose", "client-authentication+jwt"}

func checkType(_ *Policy, t *Token, _ Context) (expected, got string) {
	if t.JWS != nil && !t.JWS.Typed(types...) {
		return "a typ of JWT or none", shown(t.JWS.Typ)
	}
	return "", ""
}

func checkAlgorithm(p *Policy, t *Token, _ Context) (expected, got string) {
	if t.JWS != nil && !slices.Contains(p.Algorithms, t.JWS.Alg) {
		return "one of " + strings.Join(p.Algorithms, ", "), or(t.JWS.Alg)
	}
	return "", ""
}

func moment(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// Work is what checking signatures may still cost one request.
type Work struct {
	fetches, signatures int
	inTurn              InTurn
	costly              bool
	err                 error
}

// InTurn calls check, which costs much, when it is its turn. The error is that
// of a turn that does not come.
type InTurn func(ctx context.Context, check func() (right bool)) error

// maxSignatures is how many signatures are checked for one request.
const maxSignatures = 4

// NewWork returns what one request may cost: one fetch, four signatures.
// Signatures that cost much are checked in turn.
func NewWork(inTurn InTurn) *Work {
	return &Work{fetches: 1, signatures: maxSignatures, inTurn: inTurn}
}

// Signatures returns how many signatures were checked. There may be no Work:
// none were.
func (w *Work) Signatures() int {
	if w == nil {
		return 0
	}
	return maxSignatures - w.signatures
}

// TakeFetch counts one more fetch, and reports whether it may be done.
func (w *Work) TakeFetch() bool { return take(&w.fetches) }

// TakeSignature counts one more check of a signature, and reports whether it
// may be done.
func (w *Work) TakeSignature() bool { return take(&w.signatures) }

// SignedBy is that of the JWS, in turn if it costs much. It is false, too, if
// the turn did not come: see [Work.Err].
func (w *Work) SignedBy(ctx context.Context, jws *verify.JWS, key crypto.PublicKey) (is bool) {
	if !jwk.Costly(key) {
		return jws.SignedBy(key)
	}
	w.costly = true
	if w.err == nil {
		w.err = w.inTurn(ctx, func() bool { is = jws.SignedBy(key); return is })
	}
	return is
}

// Costly reports whether a signature was checked that costs much.
func (w *Work) Costly() bool { return w != nil && w.costly }

// Err returns why a signature was not checked that should have been, or nil.
func (w *Work) Err() error { return w.err }

func take(left *int) bool {
	if *left == 0 {
		return false
	}
	*left--
	return true
}

// Verifier checks signatures.
type Verifier struct{ Keys *remotekeys.Keys }

// Verify returns the rule of the key or of the signature that a token fails, or
// nil. Everything else must have been judged: keys are fetched only for a token
// that [Judge] finds right. operator reports that the organization is the
// operator's.
func (v Verifier) Verify(ctx context.Context, p *Policy, t *Token, c Context, operator bool, work *Work) *Failure {
	keys, failure := v.keys(ctx, p, t, c, operator, work)
	if failure != nil {
		return failure
	}
	fitting := 0
	for _, key := range keys {
		if !key.Fits(t.JWS.Alg, t.JWS.Kid) {
			continue
		}
		if !work.TakeSignature() {
			return &Failure{Rule: RuleSignature, Got: "too many keys to try",
				Expected: "a kid in the header that says which of the issuer's keys it is"}
		}
		fitting++
		if work.SignedBy(ctx, t.JWS, key.Key) {
			return nil
		}
	}
	if err := work.Err(); err != nil {
		return &Failure{Rule: RuleSignature, Expected: "a signature by a key of the issuer", Unjudged: true,
			Got: "one that was not checked: " + err.Error()}
	}
	if fitting == 0 {
		return &Failure{Rule: RuleKey, Expected: "a key of the issuer: " + kids(keys),
			Got: "kid " + or(t.JWS.Kid) + " with " + shown(t.JWS.Alg)}
	}
	return &Failure{Rule: RuleSignature, Expected: "a signature by a key of the issuer", Got: "another one"}
}

func (v Verifier) keys(
	ctx context.Context, p *Policy, t *Token, c Context, operator bool, work *Work,
) ([]jwk.Verifier, *Failure) {
	const expected = "the issuer's keys"
	from, fetched := p.source()
	if !fetched {
		keys, err := p.inline()
		if err != nil {
			return nil, &Failure{Rule: RuleKey, Expected: expected, Got: shown(err.Error())}
		}
		return keys, nil
	}
	keys, need, err := v.Keys.InMemory(from, t.JWS.Kid)
	switch {
	case err == nil && need == remotekeys.NoNeed:
		return keys, nil
	case !work.TakeFetch():
		return nil, &Failure{Rule: RuleKey, Expected: expected, Unjudged: true,
			Got: "keys that were not fetched: one fetch is done for a request"}
	}
	keys, err = v.Keys.Get(ctx, c.OrgID, operator, from, t.JWS.Kid)
	if err != nil {
		return nil, &Failure{Rule: RuleKey, Expected: expected, Got: "none: " + shown(err.Error()), Unjudged: true}
	}
	return keys, nil
}

// kids lists the ids of keys for the credential's organization.
func kids(keys []jwk.Verifier) string {
	var all []string
	for i, key := range keys {
		id := key.Kid
		if id == "" {
			id = strconv.Itoa(i + 1)
		}
		all = append(all, id)
	}
	return shown(strings.Join(all, ", "))
}

// RuleNames returns the names of all rules, in the order in which they are
// looked at.
func RuleNames() []string {
	var names []string
	for _, r := range rules {
		names = append(names, r.name)
	}
	return append(names, RuleKey, RuleSignature)
}
