package token

import (
	"context"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
)

// GrantTokenExchange is the grant_type of RFC 8693 §2.1.
const GrantTokenExchange = clientauth.GrantTokenExchange

// The token types of RFC 8693 §3 that are known here.
const (
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	typeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
)

// tokenExchange is the grant of RFC 8693 for tokens of other issuers alone. The
// subject_token is what its client proves itself by, so that nobody acts for
// another: the token that is issued is the client's own.
type tokenExchange struct{ service *Service }

// issue implements [grant].
func (g tokenExchange) issue(ctx context.Context, i *issuance) *oautherr.Error {
	if i.client.Kind != store.CredentialFederated {
		return exchangeRefusal("exchange_client")
	}
	decided, refusal := g.service.decide(i.holder, i.request)
	if refusal != nil {
		return refusal
	}
	if refusal := i.mint(ctx, decided); refusal != nil {
		return refusal
	}
	i.response.IssuedType = typeAccessToken // RFC 8693 §2.2.1
	if i.request.WantedType != "" {
		i.response.IssuedType = i.request.WantedType
	}
	return nil
}

// CheckExchange refuses a token exchange whose parameters are not those of RFC
// 8693 §2.1 that are understood here, before anything is verified. param
// returns a parameter, or the empty string: one without a value counts as
// absent.
func CheckExchange(param func(name string) string) *oautherr.Error {
	wrong := func(text string) *oautherr.Error {
		return oautherr.New(oautherr.CodeInvalidRequest, "exchange_form", "%s", text)
	}
	kind, wanted := param("subject_token_type"), param("requested_token_type")
	switch {
	case param("actor_token") != "" || param("actor_token_type") != "":
		return wrong("actor_token is not supported: the token that is issued is the client's own")
	case param("subject_token") == "":
		return wrong("subject_token is missing: expected a token of an issuer that a federated credential trusts")
	case kind == "":
		return wrong("subject_token_type is missing: expected " + typeJWT + " or " + typeIDToken)
	case kind != typeJWT && kind != typeIDToken:
		return wrong("subject_token_type is not supported: expected " + typeJWT + " or " + typeIDToken)
	case wanted != "" && wanted != typeAccessToken && wanted != typeJWT:
		return wrong("requested_token_type is not supported: expected " + typeAccessToken + " or none")
	}
	return nil
}

// RefuseExchange returns the answer to a subject_token that was refused: RFC
// 8693 §2.2.2, with one text for all causes. What is passing, and what was
// wrong with the form, stays as it is.
func RefuseExchange(refusal *oautherr.Error) *oautherr.Error {
	if refusal.Code != oautherr.CodeInvalidClient {
		return refusal
	}
	e := exchangeRefusal(refusal.Reason)
	e.Detail, e.Cause = refusal.Detail, refusal.Cause
	if e.Detail == "" {
		e.Detail = refusal.Description
	}
	return e
}

func exchangeRefusal(reason string) *oautherr.Error {
	return oautherr.New(oautherr.CodeInvalidRequest, reason, "the subject_token is refused: it fits no federated "+
		"credential of the client that is meant; its organization can try it: svcauth federated-credential test")
}
