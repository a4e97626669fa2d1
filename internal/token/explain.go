package token

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The links of the chain, in their order.
const (
	linkToken      = "token"
	linkCredential = "credential"
	linkAccount    = "account"
	linkRoles      = "roles"
	linkPrivileges = "privileges"
	linkAudience   = "audience"
	linkRevocation = "revocation"
)

// chain is an explanation in the making. What comes after a broken link is not
// looked at.
type chain struct {
	steps  []svcauth.ExplainStep
	broken bool
}

// link adds a link. wrong says why it fails and what to do, and is empty if it
// does not; found says what is there.
func (c *chain) link(name, wrong, found string) {
	step := svcauth.ExplainStep{Name: name, Outcome: svcauth.StepOK, Detail: found}
	switch {
	case c.broken:
		step.Outcome, step.Detail = svcauth.StepSkipped, "not looked at"
	case wrong != "":
		step.Outcome, step.Detail, c.broken = svcauth.StepFailed, wrong, true
	}
	c.steps = append(c.steps, step)
}

func (c *chain) explanation() svcauth.Explanation {
	return svcauth.Explanation{Allowed: !c.broken, Steps: c.steps}
}

// Explain returns why a token or a client may do something or may not. It asks
// each rule in turn, the very one that decides, and names the first that
// refuses.
//
// The actor in the context requires tokens:introspect or members:read, and for
// a request audit:read. It sees only what is its own organization's; the
// operator with tokens:introspect sees everybody's. Errors are
// [*svcauth.Problem] and contain no token.
func (s *Service) Explain(ctx context.Context, r svcauth.ExplainRequest) (svcauth.Explanation, error) {
	if r.RequestID != "" {
		if err := checkExplain(r); err != nil {
			return svcauth.Explanation{}, err
		}
		return s.explainRequest(ctx, r.RequestID)
	}
	actor, err := access.Explainer(ctx)
	if err != nil {
		return svcauth.Explanation{}, err
	}
	if err := checkExplain(r); err != nil {
		return svcauth.Explanation{}, err
	}
	if stale := s.knowsRevocations(); stale != nil {
		return svcauth.Explanation{}, explainFault(stale)
	}
	switch {
	case r.Token != "":
		return s.explainToken(ctx, actor, r)
	case r.JTI != "":
		return s.explainRecord(ctx, actor, r)
	}
	return s.explainClient(ctx, actor, r)
}

func checkExplain(r svcauth.ExplainRequest) error {
	given := 0
	for _, text := range []string{r.Token, r.JTI, r.ClientID, r.RequestID} {
		if text != "" {
			given++
		}
	}
	if given != 1 {
		return svcauth.InvalidField("body", "Send exactly one of token, jti, client_id and request_id.")
	}
	if r.RequestID != "" && (r.Privilege != "" || r.Audience != "") {
		return svcauth.InvalidField("body", "A request is explained as it was: send no privilege and no audience.")
	}
	fields := map[string]string{
		"body.jti": r.JTI, "body.client_id": r.ClientID, "body.privilege": r.Privilege, "body.audience": r.Audience,
	}
	for at, text := range fields {
		if len(text) > maxResourceSize || text != "" && !isScopeToken(text) {
			return svcauth.InvalidField(at,
				"Expected at most %d printable ASCII characters without spaces and quotes.", maxResourceSize)
		}
	}
	return nil
}

func explainFault(e *oautherr.Error) error {
	if e.Code == oautherr.CodeUnavailable {
		return away.Problem(away.Database, "What this node remembers may be old. Try again in a moment.", e)
	}
	return e
}

// explainToken explains a whole token. One that this server did not sign says
// nothing that could be believed.
func (s *Service) explainToken(
	ctx context.Context, actor access.Actor, r svcauth.ExplainRequest,
) (svcauth.Explanation, error) {
	p, err := s.anyAudience.Authentic(ctx, r.Token)
	if err != nil {
		if isUnavailable(err) {
			return svcauth.Explanation{}, explainFault(oautherr.Unavailable(err))
		}
		var c chain
		c.link(linkToken, describe(err), "")
		for _, name := range []string{
			linkCredential, linkAccount, linkRoles, linkPrivileges, linkAudience, linkRevocation,
		} {
			c.link(name, "", "")
		}
		return c.explanation(), nil
	}
	if !actor.MayExplain(p.OrgID) {
		return svcauth.Explanation{}, svcauth.NewProblem(
			svcauth.CodeNotFound, "This token was not issued in your organization.")
	}
	return s.explainPrincipal(ctx, p, r)
}

// explainRecord explains a token of which only the jti is known, by the record
// of its issue.
func (s *Service) explainRecord(
	ctx context.Context, actor access.Actor, r svcauth.ExplainRequest,
) (svcauth.Explanation, error) {
	record, found, err := s.cfg.Cache.FindToken(ctx, r.JTI)
	if err != nil {
		return svcauth.Explanation{}, away.Problem(away.Records,
			"Send the whole token: that works without them. Or try again in a moment.", err)
	}
	if !found || !actor.MayExplain(record.OrgID) {
		return svcauth.Explanation{}, svcauth.NewProblem(svcauth.CodeNotFound,
			"No live token with this jti is known in your organization: "+
				"it was never issued, has expired, or was revoked by itself. Send the whole token to learn which.")
	}
	client, refusal := s.client(ctx, record.ClientID)
	if refusal != nil {
		return svcauth.Explanation{}, explainFault(refusal)
	}
	claims := record.Claims()
	claims.Issuer = s.cfg.Issuer
	if client.known { // the record does not say: this is what the scope asks for
		claims.Audience = client.catalog.audiences(strings.Fields(record.Scope))
	}
	if len(claims.Audience) == 0 {
		claims.Audience = []string{s.cfg.Issuer}
	}
	return s.explainPrincipal(ctx, claims, r)
}

// explainPrincipal explains authentic claims.
func (s *Service) explainPrincipal(
	ctx context.Context, p *verify.Claims, r svcauth.ExplainRequest,
) (svcauth.Explanation, error) {
	client, refusal := s.client(ctx, p.ClientID)
	if refusal != nil {
		return svcauth.Explanation{}, explainFault(refusal)
	}
	verdict := s.anyAudience.CheckClaims(p)
	blamed, why := "", ""
	if errors.Is(verdict, verify.ErrRevoked) {
		entry, _ := s.cfg.Revocations.Revoked(p)
		blamed, why = blame(entry, client)
	} else if verdict != nil {
		blamed, why = linkToken, describe(verdict)
	}
	var c chain
	link := func(name, wrong, found string) {
		if name == blamed {
			wrong = why
		}
		c.link(name, wrong, found)
	}
	link(linkToken, "", fmt.Sprintf("signed by this server for client %s; expires %s%s",
		p.ClientID, p.ExpiresAt.UTC().Format(time.RFC3339), boundTo(p)))
	link(linkCredential, "", "obtained with "+clientauth.Called(p.Cred))
	link(linkAccount, "", accountFound(client))
	link(linkRoles, "", "carries the roles "+listed(p.Roles))
	link(linkPrivileges, s.lacksPrivilege(p, client, r.Privilege), "carries the privileges "+listed(p.Privileges()))
	wrongAudience, err := s.lacksAudience(p, client, r)
	if err != nil {
		return svcauth.Explanation{}, err
	}
	form := ""
	if client.known {
		if now, ok := client.catalog.profile(p.Audience); ok {
			form = now.described()
		}
	}
	link(linkAudience, wrongAudience, "for "+strings.Join(p.Audience, ", ")+form)
	link(linkRevocation, "", "no live revocation matches it")
	return c.explanation(), nil
}

// blame returns the link of the chain that a revocation cut, and how to mend
// it.
func blame(entry svcauth.Revocation, client *holder) (link, why string) {
	switch {
	case entry.JTI != "":
		return linkRevocation, "this very token was revoked; ask for a new one"
	case entry.Cred != "":
		return linkCredential, clientauth.Called(entry.Cred) +
			" was deleted together with the tokens it obtained; ask for a new one with another credential"
	case entry.ClientID != "" && entry.Role != "":
		return linkRoles, fmt.Sprintf("the role %q was taken from the account, or its grant expired, "+
			"after this token was issued; assign it again, then ask for a new token", entry.Role)
	case entry.Spares() != "":
		return blameBinding(entry)
	case entry.ClientID != "" && !client.known:
		return linkAccount, "the client " + entry.ClientID + " was removed, and its tokens with it"
	case entry.ClientID != "":
		if off := clientauth.SwitchedOff(client.Credentials); off != nil {
			return linkAccount, off.Description
		}
		return linkRevocation, "every token that this client had been issued by then was revoked; ask for a new one"
	case entry.Role == "":
		return linkAccount, "the organization of this token was deleted"
	case entry.Privilege != "":
		return linkPrivileges, fmt.Sprintf("the privilege %s was taken off the role %q after this token was issued; "+
			"ask for a new token", entry.Privilege, entry.Role)
	}
	return linkRoles, fmt.Sprintf("the role %q was renamed or deleted after this token was issued; "+
		"ask for a new token", entry.Role)
}

// blameBinding is [blame] for an entry that spares the tokens which are bound
// as has been demanded.
func blameBinding(entry svcauth.Revocation) (link, why string) {
	const mend = "this one is not; ask for a new one: send "
	if entry.Role != "" {
		return linkRoles, fmt.Sprintf("after this token was issued it was demanded that tokens with the role %q be "+
			"bound (requires_binding); %s%s", entry.Role, mend, binds(entry.UnlessBound))
	}
	return linkAccount, fmt.Sprintf("after this token was issued it was demanded that the tokens of this account "+
		"be bound (token_binding: %s); %s%s", entry.UnlessBound, mend, binds(entry.UnlessBound))
}

// lacksPrivilege returns why a token does not carry a privilege, or the empty
// string if it does, or if none was asked about.
func (s *Service) lacksPrivilege(p *verify.Claims, client *holder, privilege string) string {
	if privilege == "" || p.Has(privilege) {
		return ""
	}
	if client.known && client.Holds(privilege) && client.catalog.api[privilege] == s.cfg.Issuer {
		return fmt.Sprintf("the token does not carry %s, though the account holds it: "+
			"privileges of this server itself are given only if asked for. "+
			"Ask for a new token with resource=%s", privilege, s.cfg.Issuer)
	}
	if client.known && client.Holds(privilege) {
		return fmt.Sprintf("the token does not carry %s, though the account holds it: "+
			"it was asked for a narrower scope, or issued before. Ask for a new token with it", privilege)
	}
	return s.notGranted(client, privilege)
}

// lacksAudience returns why the API in question does not take the token, as
// that API itself would say, or the empty string if it does.
func (s *Service) lacksAudience(
	p *verify.Claims, client *holder, r svcauth.ExplainRequest,
) (string, error) {
	audience := r.Audience
	if audience == "" && client.known {
		audience = client.catalog.api[r.Privilege]
	}
	if audience == "" {
		return "", nil
	}
	api, err := verify.New(verify.Config{
		Issuer: s.cfg.Issuer, Audience: audience, Keys: s.cfg.Keyring, Revocations: s.cfg.Revocations,
		Clock: s.cfg.Clock,
	})
	if err != nil {
		return "", fmt.Errorf("set up the verification for an API: %w", err)
	}
	verdict := api.CheckClaims(p)
	if verdict == nil || errors.Is(verdict, verify.ErrRevoked) || errors.Is(verdict, verify.ErrExpired) {
		return "", nil
	}
	return describe(verdict), nil
}

// boundTo says what a token is bound to, as the end of a sentence.
func boundTo(p *verify.Claims) (text string) {
	if p.BoundKey != "" {
		text = "; bound to the key " + p.BoundKey + ": it is sent as Authorization: DPoP, with a proof by that key"
	}
	if p.BoundCertificate != "" {
		text += "; bound to the client certificate " + p.BoundCertificate + ": it is sent over mutual TLS with that one"
	}
	return text
}

func accountFound(client *holder) string {
	switch {
	case !client.known:
		return "the client is gone; that alone ends no token that it was issued"
	case client.MemberID != "":
		return "application key of the member " + client.MemberID
	}
	found := fmt.Sprintf("service account %q", client.Name)
	if b := client.TokenBinding; b != "" && b != svcauth.TokenBindingNone {
		found += ", whose tokens must be bound (token_binding: " + b + ")"
	}
	if client.DefaultResource != "" {
		found += ", whose tokens are for " + client.DefaultResource + " by default (default_resource)"
	}
	return found
}

func listed(all []string) string {
	if len(all) == 0 {
		return "(none)"
	}
	const most = 50
	if len(all) > most {
		return strings.Join(all[:most], ", ") + fmt.Sprintf(" and %d more", len(all)-most)
	}
	return strings.Join(all, ", ")
}
