package oauth

import (
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/token"
)

// authenticate returns the client that a request comes from. After a refusal
// the form's client_id is the one that the request claims, for the log.
func (e *Endpoints) authenticate(c *gin.Context, f form) (client clientauth.Authentication, refusal *oautherr.Error) {
	r, refusal := clientauth.ReadRequest(c.Request, f.get, request.ClientAddr(c))
	if refusal == nil {
		client, refusal = e.cfg.ClientAuth.Authenticate(request.Context(c), r)
	}
	if r.ClientID != "" {
		f.values["client_id"] = r.ClientID
	}
	return client, refusal
}

// introspector authenticates the caller of introspection: a client, or the
// bearer of a token (RFC 7662 §2.1).
func (e *Endpoints) introspector(c *gin.Context, f form) (token.Introspector, *oautherr.Error) {
	if headers := c.Request.Header.Values("Authorization"); len(headers) == 1 {
		if scheme, text, _ := strings.Cut(headers[0], " "); strings.EqualFold(scheme, "Bearer") {
			if f.get("client_secret") != "" {
				return token.Introspector{}, badRequest("the caller authenticates in two ways at once: " +
					"send a bearer token or a client secret, not both")
			}
			return e.cfg.Token.IntrospectorFromBearer(request.Context(c), strings.TrimSpace(text))
		}
	}
	client, refusal := e.authenticate(c, f)
	if refusal != nil {
		return token.Introspector{}, refusal
	}
	return e.cfg.Token.IntrospectorFromClient(request.Context(c), client)
}
