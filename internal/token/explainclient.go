package token

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/builtin"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// explainClient explains what a token could do that the client asked for now.
func (s *Service) explainClient(
	ctx context.Context, actor access.Actor, r svcauth.ExplainRequest,
) (svcauth.Explanation, error) {
	client, refusal := s.client(ctx, r.ClientID)
	if refusal != nil {
		return svcauth.Explanation{}, explainFault(refusal)
	}
	if !client.known || !actor.MayExplain(client.OrgID) {
		return svcauth.Explanation{}, svcauth.NewProblem(
			svcauth.CodeNotFound, "There is no client with this id in your organization.")
	}
	var c chain
	credential, wrong := s.anyCredential(client)
	c.link(linkCredential, wrong, "has a credential that works: "+clientauth.Called(credential))
	c.link(linkAccount, description(clientauth.SwitchedOff(client.Credentials)), accountFound(client)+", enabled")
	granted, refused := s.decide(client, Request{Scope: r.Privilege})
	lacks := refused
	if lacks != nil && (lacks.Reason == tokenSize || lacks.Code == oautherr.CodeInvalidTarget) {
		lacks = nil // it holds what is asked, and more than fits into one token
	}
	c.link(linkRoles, s.lacksRoles(client, r.Privilege, lacks), "holds the roles "+listed(client.held.Roles)+
		onlyBound(granted.shown().binding))
	if lacks != nil {
		wrong = s.notGranted(client, r.Privilege)
	} else {
		wrong = ""
	}
	c.link(linkPrivileges, wrong, "its roles give "+listed(client.held.Privileges))
	if r.Audience != "" && !c.broken {
		granted, refused = s.decide(client, Request{Scope: r.Privilege, Resources: []string{r.Audience}})
	}
	form := ""
	if refused == nil {
		form = granted.profile.described()
	}
	c.link(linkAudience, description(refused), "a token would carry the scope '"+granted.shown().scope+"'"+form)
	claims := &verify.Claims{
		ClientID: client.ClientID, OrgID: client.OrgID, Epoch: client.Epoch, Policy: client.Policy, Cred: credential,
		Roles: client.held.Roles, Scope: granted.shown().scope,
	}
	wrong = ""
	if entry, ok := s.cfg.Revocations.Revoked(claims); ok {
		_, wrong = blame(entry, client)
		wrong = "a token issued by this node now would be born revoked, " +
			"because the node has not read the latest change yet; that passes within a second: " + wrong
	}
	c.link(linkRevocation, wrong, "no live revocation matches a token issued now")
	c.add(linkAudience, client.ownClaims(granted))
	explanation := c.explanation()
	if actor.Has(svcauth.MembersRead) {
		last, err := s.cfg.Records.OfClient(ctx, client.OrgID, client.ClientID, 1)
		if err != nil {
			return svcauth.Explanation{}, err
		}
		if len(last) > 0 {
			explanation.LastRefused = &last[0]
		}
	}
	return explanation, nil
}

// onlyBound says of roles that are given by bound tokens only, as the end of a
// sentence, that they are.
func onlyBound(roles []string) string {
	if len(roles) == 0 {
		return ""
	}
	return "; a token with " + listed(roles) + " must be bound: ask with a DPoP proof, or as token_binding says"
}

// anyCredential returns a credential that works, or why there is none: what is
// wrong with the only one, or that all are.
func (s *Service) anyCredential(client *holder) (id, wrong string) {
	found := 0
	for _, of := range []struct {
		kind string
		all  []store.StoredCredential
	}{
		{store.CredentialSecret, client.Secrets},
		{store.CredentialKey, client.Keys},
		{store.CredentialFederated, client.Federated},
		{store.CredentialCertificate, client.Certificates},
	} {
		for _, one := range of.all {
			refusal := clientauth.Expired(of.kind, one.ExpiresAt(), s.cfg.Clock())
			if refusal == nil {
				refusal = clientauth.Refused(of.kind, client.Credentials)
			}
			if refusal == nil {
				return one.ID, ""
			}
			found, wrong = found+1, refusal.Description
		}
	}
	switch {
	case found == 0:
		return "", "the client has no credential; make one"
	case found > 1:
		return "", "every credential of this client has expired, or is of a kind that its organization refuses; " +
			"make a new one"
	}
	return "", wrong
}

// lacksRoles returns why a refusal lies with the roles rather than with what
// they give, or the empty string if it does not.
func (s *Service) lacksRoles(client *holder, privilege string, refused *oautherr.Error) string {
	if refused == nil || privilege == "" {
		return ""
	}
	now := s.cfg.Clock().UnixMilli()
	for _, role := range client.Roles {
		if role.ExpiresAtMS == 0 || role.ExpiresAtMS > now {
			continue
		}
		gave := access.RoleGives(role.Kind, role.Privileges, client.catalog.privileges, client.Operator)
		if slices.Contains(gave, privilege) {
			return fmt.Sprintf("the role %q has %s, but its grant expired on %s; assign it again",
				role.Name, privilege, time.UnixMilli(role.ExpiresAtMS).UTC().Format(time.RFC3339))
		}
	}
	if len(client.held.Roles) == 0 {
		return "the account holds no role; assign one that has " + privilege
	}
	return ""
}

// notGranted returns why no role of a client gives a privilege.
func (s *Service) notGranted(client *holder, privilege string) string {
	switch {
	case !client.known:
		return "the token does not carry " + privilege
	case client.catalog.api[privilege] == "":
		return fmt.Sprintf(
			"no API of the catalogue knows the privilege %s; look for it in GET /v1/privileges", privilege)
	case builtin.OperatorOnly(privilege) && !client.Operator:
		return privilege + " exists only in the operator's organization"
	}
	return fmt.Sprintf("none of the account's roles (%s) has %s; assign one that has, or put it on one of these",
		listed(client.held.Roles), privilege)
}

func description(e *oautherr.Error) string {
	if e == nil {
		return ""
	}
	return e.Description
}
