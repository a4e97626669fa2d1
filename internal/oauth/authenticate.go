package oauth

import (
	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/token"
)

// authenticate returns the client that a request comes from. After a refusal
// the form's client_id is the one that the request claims, for the log.
func (e *Endpoints) authenticate(c *gin.Context, f form) (client clientauth.Authentication, refusal *oautherr.Error) {
	of := request.Of(c)
	r, refusal := e.cfg.ClientAuth.ReadRequest(c.Request, f.get, clientauth.Origin{IP: of.Addr, Proxied: of.Proxied})
	if refusal == nil {
		client, refusal = e.cfg.ClientAuth.Authenticate(request.Context(c), r)
	}
	of.AuthMethod = r.Method
	if claimed := r.Claimed; claimed != nil && claimed.Known {
		of.Claimant = request.Claimant{
			OrgID: claimed.OrgID, ClientID: claimed.ClientID,
			Proven: r.CredentialID != "", CredentialID: r.CredentialID,
			Issuer: client.Issuer, Subject: client.Subject,
		}
	}
	if r.ClientID != "" {
		f.values["client_id"] = r.ClientID
	}
	return client, refusal
}

// introspector authenticates the caller of introspection: a client, or the
// bearer of a token (RFC 7662 §2.1).
func (e *Endpoints) introspector(c *gin.Context, f form) (token.Introspector, *oautherr.Error) {
	shown, one := present(c)
	if one || shown.Scheme != "" && len(c.Request.Header["Authorization"]) == 1 {
		if f.get("client_secret") != "" || f.get("client_assertion") != "" {
			return token.Introspector{}, badRequest("the caller authenticates in two ways at once: " +
				"send an access token, or what the client authenticates with, not both")
		}
		return e.bearer(c, shown, nil)
	}
	client, refusal := e.authenticate(c, f)
	if refusal != nil {
		return token.Introspector{}, refusal
	}
	return e.cfg.Token.IntrospectorFromClient(request.Context(c), client)
}

// present reads how a request shows an access token.
func present(c *gin.Context) (token.Presented, bool) {
	return token.Present(c.Request, request.Method(c.Request), request.Of(c).Proxied)
}

// bearer authenticates the bearer of a token. admit is that of
// [token.Service.IntrospectorFromBearer].
func (e *Endpoints) bearer(
	c *gin.Context, shown token.Presented, admit func(token.Introspector) (func(), *oautherr.Error),
) (token.Introspector, *oautherr.Error) {
	by, nonce, refusal := e.cfg.Token.IntrospectorFromBearer(request.Context(c), shown, admit)
	claimBy(c, by)
	if nonce != "" { // RFC 9449 §8.2
		c.Header(dpop.NonceHeader, nonce)
	}
	return by, refusal
}

// claimBy records whose token a request carries.
func claimBy(c *gin.Context, by token.Introspector) {
	request.Of(c).Claimant = request.Claimant{OrgID: by.OrgID, ClientID: by.ClientID, Proven: by.ClientID != ""}
}
