package token

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The links that only a request's chain has: what came, and the server itself.
const (
	linkRequest = "request"
	linkServer  = "server"
)

// explainRequest explains why a request was refused, by what was written down
// then: the client may have changed since.
func (s *Service) explainRequest(ctx context.Context, id string) (svcauth.Explanation, error) {
	record, err := s.cfg.Records.OfRequest(ctx, id)
	if err != nil {
		return svcauth.Explanation{}, err
	}
	if record.Event != nil {
		return explainEvent(record.Event), nil
	}
	account, err := s.claimedAccount(ctx, record)
	if err != nil {
		return svcauth.Explanation{}, err
	}
	r := record.Refusal
	blamed := blamedLink(r)
	var c chain
	link := func(name, found string) {
		wrong := ""
		if name == blamed {
			wrong = cmp.Or(r.Detail, "refused as "+r.Reason+"; so much else was refused then that no more is kept")
		}
		c.link(name, wrong, found)
	}
	c.link(linkRequest, "", fmt.Sprintf("%s on %s%s, %s: answered with %s", cmp.Or(r.Endpoint, "an unknown path"),
		stamp(typeid.Time(id)), cameFrom(r), account, r.Code+amongOthers(r)))
	if blamed == linkServer {
		link(linkServer, "")
		return explanationOf(c, r), nil
	}
	link(linkCredential, provenBy(r))
	if !c.broken {
		link(linkAccount, "enabled")
	}
	if !c.broken {
		link(blamed, "")
	}
	return explanationOf(c, r), nil
}

func explanationOf(c chain, r *svcauth.Refusal) svcauth.Explanation {
	explanation := c.explanation()
	explanation.Refusal = r
	return explanation
}

// blamedLink returns the link that failed.
func blamedLink(r *svcauth.Refusal) string {
	switch r.Code {
	case oautherr.CodeInvalidClient, oautherr.CodeSlowDown:
		if r.Authenticated && r.Code == oautherr.CodeInvalidClient && !aboutCredential(r.Reason) {
			return linkAccount
		}
		return linkCredential
	case oautherr.CodeInvalidScope, oautherr.CodeInsufficientScope:
		return linkPrivileges
	case oautherr.CodeInvalidTarget:
		return linkAudience
	case oautherr.CodeInvalidToken, oautherr.CodeInvalidGrant:
		return linkToken
	case oautherr.CodeUnavailable, oautherr.CodeServerError, svcauth.CodeUnavailable, svcauth.CodeInternal:
		return linkServer
	}
	return "form"
}

// aboutCredential reports whether a reason lies with the credential, not with
// the account.
func aboutCredential(reason string) bool {
	return strings.HasPrefix(reason, "expired_") || reason == "secrets_refused"
}

// claimedAccount names the client of a refusal, as it is now.
func (s *Service) claimedAccount(ctx context.Context, record access.RequestRecord) (string, error) {
	switch {
	case svcauth.ValidID(svcauth.PrefixMember, record.ClientID):
		return "for the member " + record.ClientID, nil
	case record.ClientID == "" && record.Refusal.Authenticated:
		return "before it was known whose it is", nil
	case record.ClientID == "":
		return "naming no client that exists", nil
	}
	client, refusal := s.client(ctx, record.ClientID)
	if refusal != nil {
		return "", explainFault(refusal)
	}
	if !client.known {
		return "for the client " + record.ClientID + ", which is gone now", nil
	}
	return "for the " + accountFound(client) + ", " + record.ClientID, nil
}

// explainEvent explains a request by the event that it left in the audit log.
func explainEvent(e *svcauth.AuditEvent) svcauth.Explanation {
	var c chain
	text := fmt.Sprintf("%s of the %s %q by %s on %s, event %s of the audit log: ", e.Action,
		strings.ReplaceAll(e.Target.Kind, "_", " "), e.Target.Name, e.Actor.Name, stamp(e.Time), e.ID)
	if e.Outcome == svcauth.OutcomeDone {
		c.link(linkRequest, "", text+"it was done")
	} else {
		c.link(linkRequest, text+e.Reason, "")
	}
	return c.explanation()
}

func provenBy(r *svcauth.Refusal) string {
	switch {
	case !r.Authenticated:
		return "not reached"
	case r.CredentialID == "":
		return "the client had proven who it is"
	}
	return "the client had proven who it is by " + clientauth.Called(r.CredentialID)
}

func cameFrom(r *svcauth.Refusal) string {
	switch {
	case r.IP == "" && blamedLink(r) == linkServer:
		return ""
	case r.IP == "":
		return " from one of several addresses"
	case r.UserAgent == "":
		return " from " + r.IP
	}
	return " from " + r.IP + " (" + r.UserAgent + ")"
}

func amongOthers(r *svcauth.Refusal) string {
	if r.Count < 2 {
		return ""
	}
	return fmt.Sprintf(", as %d others were from %s to %s", r.Count-1, stamp(r.FirstAt), stamp(r.At))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
