package token

import (
	"context"
	"errors"
	"slices"
	"sort"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/federation"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxTested is how many credentials one try looks at.
const maxTested = 100

// TestFederated returns which federated credentials of the caller's
// organization a token of another issuer fits, and for each other the first
// rule that it fails: by the rules that decide about real requests
// ([federation.Judge], [federation.Verifier.Verify]), and with the same bounds
// of fetches and signatures. Nothing is issued and nothing is kept.
//
// It needs members:read. Errors are [*svcauth.Problem] and contain no token.
func (s *Service) TestFederated(
	ctx context.Context, r svcauth.FederatedTest,
) (result svcauth.FederatedTestResult, err error) {
	actor, err := access.Caller(ctx, svcauth.MembersRead)
	if err != nil {
		return result, err
	}
	token, err := readTested(r)
	if err != nil {
		return result, err
	}
	rows, names, err := s.tested(ctx, actor, r.ClientID)
	if err != nil {
		return result, access.Problem(err, svcauth.AuditTarget{Kind: svcauth.KindServiceAccount})
	}
	if result.More = len(rows) > maxTested; result.More {
		rows = rows[:maxTested]
	}
	try := &federatedTry{
		service: s, actor: actor, token: token, work: federation.NewWork(s.inTurnOf(actor.OrgID)),
		rules: federation.Context{Own: s.cfg.Issuer, OrgID: actor.OrgID, Now: s.cfg.Clock()},
	}
	result.Credentials = []svcauth.FederatedTestMatch{}
	for _, row := range rows {
		match := try.match(ctx, row)
		match.ServiceAccount = svcauth.Ref{ID: row.ClientID, Name: names[row.ClientID]}
		result.Credentials = append(result.Credentials, match)
	}
	sort.SliceStable(result.Credentials, func(i, j int) bool {
		return nearness(result.Credentials[i]) > nearness(result.Credentials[j])
	})
	return result, nil
}

// inTurnOf has costly signatures checked in the turn of an organization.
func (s *Service) inTurnOf(orgID string) federation.InTurn {
	return func(ctx context.Context, check func() bool) error {
		return clientauth.InTurn(ctx, s.cfg.Costly, orgID, check)
	}
}

// readTested reads what is to be tried.
func readTested(r svcauth.FederatedTest) (token *federation.Token, err error) {
	switch {
	case (r.Assertion == "") == (len(r.Claims) == 0):
		return nil, svcauth.InvalidField("body", "Send an assertion, or its claims: one of them.")
	case len(r.Claims) > svcauth.MaxFederatedTestAssertion || len(r.Assertion) > svcauth.MaxFederatedTestAssertion:
		return nil, svcauth.InvalidField("body", "Expected at most %d bytes.", svcauth.MaxFederatedTestAssertion)
	case r.Assertion == "":
		if token, err = federation.Read(nil, r.Claims); err != nil {
			return nil, svcauth.InvalidField("body.claims", "Refused: %s.", untrusted.Line(err.Error()))
		}
	default:
		if token, err = federation.ReadAssertion("the assertion", r.Assertion); err != nil {
			return nil, svcauth.InvalidField("body.assertion", "Refused: %s.", untrusted.Line(err.Error()))
		}
	}
	return token, nil
}

// tested reads the credentials that are tried, and the names of their accounts.
func (s *Service) tested(
	ctx context.Context, actor access.Actor, clientID string,
) (rows []store.CredentialRow, names map[string]string, err error) {
	read := s.cfg.Store.Read()
	if clientID == "" {
		rows, err = read.FederatedCredentials(ctx, actor.OrgID, maxTested+1)
	} else if !svcauth.ValidID(svcauth.PrefixServiceAccount, clientID) {
		err = store.ErrNotFound
	} else {
		rows, err = read.CredentialsOf(ctx, actor.OrgID, clientID, store.CredentialFederated)
	}
	if err != nil {
		return nil, nil, err
	}
	names = map[string]string{}
	for _, row := range rows {
		names[row.ClientID] = ""
	}
	if clientID != "" {
		names[clientID] = ""
	}
	for id := range names {
		account, err := read.ServiceAccount(ctx, actor.OrgID, id)
		if errors.Is(err, store.ErrNotFound) && clientID == "" {
			continue // it went away meanwhile
		}
		if err != nil {
			return nil, nil, err
		}
		names[id] = account.Name
	}
	return rows, names, nil
}

// federatedTry tries one token with many credentials.
type federatedTry struct {
	service *Service
	actor   access.Actor
	token   *federation.Token
	rules   federation.Context
	work    *federation.Work
}

// ruleExpired is the one rule that is not of the policy: its row says it.
const ruleExpired = "credential_expired"

func (t *federatedTry) match(ctx context.Context, row store.CredentialRow) svcauth.FederatedTestMatch {
	match := svcauth.FederatedTestMatch{CredentialID: row.ID, Name: row.Hint}
	policy, err := federation.Parse(row.Material)
	if err != nil {
		match.Rule, match.Expected, match.Got = "policy", "one that can be read", "another one"
		return match
	}
	failure := federation.Judge(policy, t.token, t.rules)
	if failure == nil && t.token.JWS != nil {
		failure = t.service.cfg.Federation.Verify(ctx, policy, t.token, t.rules, t.actor.Operator, t.work)
	}
	if failure == nil && row.ExpiresAt != nil && !row.ExpiresAt.After(t.rules.Now) {
		failure = &federation.Failure{
			Rule: ruleExpired, Expected: "a credential that has not expired",
			Got: row.ExpiresAt.UTC().Format("2006-01-02T15:04:05Z"),
		}
	}
	if match.Matches = failure == nil; !match.Matches {
		match.Rule, match.Expected, match.Got = failure.Rule, failure.Expected, failure.Got
	}
	return match
}

// nearness orders results: the later the rule that failed, the nearer.
func nearness(m svcauth.FederatedTestMatch) int {
	switch {
	case m.Matches:
		return len(federation.RuleNames()) + 1
	case m.Rule == ruleExpired:
		return len(federation.RuleNames())
	}
	return slices.Index(federation.RuleNames(), m.Rule)
}
