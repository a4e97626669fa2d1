package oauth

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const grantTypeParam = "grant_type"

// inAliasURL are the parameters that an alias takes from the URL's query.
var inAliasURL = []string{grantTypeParam, "scope"}

// token returns the token endpoint (RFC 6749 §3.2). An alias takes grant_type
// and scope from the URL's query too, as old clients send them.
func (e *Endpoints) token(alias bool) gin.HandlerFunc {
	var query []string
	if alias {
		query = inAliasURL
	}
	return func(c *gin.Context) {
		f, err := readForm(c.Writer, c.Request, query...)
		var client clientauth.Authentication
		exchange := f.get(grantTypeParam) == token.GrantTokenExchange
		if err == nil && exchange {
			err = token.CheckExchange(f.get)
		}
		if err == nil {
			client, err = e.authenticate(c, f)
			if err != nil && exchange {
				err = token.RefuseExchange(err)
			}
		}
		if err != nil {
			e.refuse(c, f.get("client_id"), err)
			return
		}
		of := request.Of(c)
		r := token.Request{
			GrantType: f.get(grantTypeParam), Scope: f.get("scope"), Resources: f.resources,
			IP: of.IP, UserAgent: c.Request.UserAgent(),
			Proofs: c.Request.Header[dpop.Header], Method: c.Request.Method, Path: c.FullPath(),
		}
		if r.Fresh, err = fresh(f); err != nil {
			e.refuse(c, client.ClientID, err)
			return
		}
		if exchange {
			r.WantedType = f.get("requested_token_type")
		}
		// RFC 8693 §2.1: a client that knows only audience names its credential
		// by it, as clients of others do their provider.
		if a := f.get("audience"); a != "" && !(exchange && svcauth.ValidID(svcauth.PrefixFederated, a)) {
			r.Resources = append(r.Resources, a)
		}
		issued, err := e.cfg.Token.Issue(request.Context(c), client, r)
		if err != nil {
			e.refuse(c, client.ClientID, err)
			return
		}
		recordOutcome(c, client.ClientID, nil)
		of.Bound, of.Reused = issued.Bound, issued.Reused
		if issued.Nonce != "" { // RFC 9449 §8.2
			c.Header(dpop.NonceHeader, issued.Nonce)
		}
		writeJSON(c, http.StatusOK, tokenAnswer(&issued))
	}
}

// fresh reports whether the client wants a token that nobody else has.
func fresh(f form) (bool, *oautherr.Error) {
	switch f.get("reuse") {
	case "", "true":
		return false, nil
	case "false":
		return true, nil
	}
	return false, badRequest(
		"reuse is neither true nor false: send reuse=false for a token that nobody else has, or leave it out")
}

// tokenAnswer is the body of an answer with a token (RFC 6749 §5.1).
func tokenAnswer(issued *token.TokenResponse) []byte {
	body := make([]byte, 0, len(issued.AccessToken)+len(issued.Scope)+128)
	body = append(body, `{"access_token":"`...)
	body = append(body, issued.AccessToken...)
	body = append(body, `","token_type":"`...)
	body = append(body, issued.Type...)
	body = append(body, `","expires_in":`...)
	body = strconv.AppendInt(body, issued.ExpiresIn, 10)
	if issued.IssuedType != "" {
		body = append(body, `,"issued_token_type":"`...)
		body = append(body, issued.IssuedType...)
		body = append(body, '"')
	}
	body = append(body, `,"scope":"`...) // privileges have a form that needs no escape
	body = append(body, issued.Scope...)
	return append(body, '"', '}', '\n')
}
