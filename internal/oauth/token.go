package oauth

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/internal/untrusted"
)

// token returns the token endpoint (RFC 6749 §3.2). An alias takes grant_type
// and scope from the URL's query too, as old clients send them.
func (e *Endpoints) token(alias bool) gin.HandlerFunc {
	var query []string
	if alias {
		query = []string{"grant_type", "scope"}
	}
	return func(c *gin.Context) {
		f, err := readForm(c.Writer, c.Request, query...)
		var client clientauth.Authentication
		if err == nil {
			client, err = e.authenticate(c, f)
		}
		if err != nil {
			e.refuse(c, f.get("client_id"), err)
			return
		}
		r := token.Request{
			GrantType: f.get("grant_type"), Scope: f.get("scope"), Resources: f.resources,
			IP: c.ClientIP(), UserAgent: untrusted.RedactSecrets(c.Request.UserAgent()),
		}
		if a := f.get("audience"); a != "" {
			r.Resources = append(r.Resources, a)
		}
		issued, err := e.cfg.Token.Issue(request.Context(c), client, r)
		if err != nil {
			e.refuse(c, client.ClientID, err)
			return
		}
		recordOutcome(c, client.ClientID, nil)
		body := make([]byte, 0, len(issued.AccessToken)+len(issued.Scope)+128)
		body = append(body, `{"access_token":"`...)
		body = append(body, issued.AccessToken...)
		body = append(body, `","token_type":"Bearer","expires_in":`...)
		body = strconv.AppendInt(body, issued.ExpiresIn, 10)
		body = append(body, `,"scope":"`...) // privileges have a form that needs no escape
		body = append(body, issued.Scope...)
		body = append(body, '"', '}', '\n')
		writeJSON(c, http.StatusOK, body)
	}
}
