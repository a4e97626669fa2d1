package oauth

import (
	"encoding/base64"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// authenticate takes the client's credential from exactly one place: RFC 6749 §2.3.1, §2.3 (one method a request).
func (e *Endpoints) authenticate(c *gin.Context, f form) (client token.Authenticated, err *token.Error) {
	cred := token.Credential{IP: request.ClientAddr(c)}
	headers := c.Request.Header.Values("Authorization")
	_, inBody := f.values["client_secret"]
	switch {
	case len(headers) > 1 || len(headers) == 1 && inBody:
		return client, badRequest("the client authenticates in two ways at once: use HTTP Basic or the body, not both")
	case len(headers) == 1:
		id, secret, fault := parseBasic(headers[0])
		if fault != "" {
			return client, token.Refuse(token.CodeInvalidClient, "malformed_basic", "%s", fault)
		}
		if given := f.get("client_id"); given != "" && given != id {
			return client, badRequest("client_id in the body is another one than in the Authorization header")
		}
		cred.ClientID, cred.Secret = id, svcauth.Secret(secret)
		f.values["client_id"] = id // for the log, where it is refused
	case f.get("client_id") == "" || !inBody:
		return client, token.Refuse(token.CodeInvalidClient, "no_credential", "no client authentication: send client id and secret by HTTP Basic, or as client_id and client_secret in the body")
	default:
		cred.ClientID, cred.Secret = f.get("client_id"), svcauth.Secret(f.get("client_secret"))
	}
	return e.cfg.Token.Authenticate(request.Context(c), cred)
}

// What can be wrong with HTTP Basic. Line breaks come of tools: base64 wraps
// its output, echo ends what it encodes with one.
const (
	noBasic   = "the Authorization header is not HTTP Basic with client id and secret, each form-urlencoded"
	wrapped   = "the Authorization header has a space or line break within its base64 text: base64 wraps at 76 characters, base64 -w0 does not"
	lineBreak = "the client id or secret in the Authorization header ends in a line break: encode it without (echo adds one, printf does not)"
)

// parseBasic reads RFC 7617 with the form-urlencoding of RFC 6749 §2.3.1. fault
// says what is wrong.
func parseBasic(header string) (id, secret, fault string) {
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") || len(text) > 4096 {
		return "", "", noBasic
	}
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, " \t\r\n") {
		return "", "", wrapped
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", "", noBasic
	}
	id, secret, ok := strings.Cut(string(raw), ":")
	id, err1 := unescape(id)
	secret, err2 := unescape(secret)
	switch {
	case !ok || err1 != nil || err2 != nil:
		return "", "", noBasic
	case request.Clean(id) && request.Clean(secret):
		return id, secret, ""
	case request.Clean(strings.TrimRight(id, "\r\n")) && request.Clean(strings.TrimRight(secret, "\r\n")):
		return "", "", lineBreak
	}
	return "", "", noBasic
}

// asker authenticates who introspects: a client, or the bearer of a token (RFC 7662 §2.1).
func (e *Endpoints) asker(c *gin.Context, f form) (token.Asker, *token.Error) {
	if headers := c.Request.Header.Values("Authorization"); len(headers) == 1 {
		if scheme, text, _ := strings.Cut(headers[0], " "); strings.EqualFold(scheme, "Bearer") {
			if f.get("client_secret") != "" {
				return token.Asker{}, badRequest("the caller authenticates in two ways at once: send a bearer token or a client secret, not both")
			}
			return e.cfg.Token.AskerFromBearer(request.Context(c), strings.TrimSpace(text))
		}
	}
	client, err := e.authenticate(c, f)
	if err != nil {
		return token.Asker{}, err
	}
	return token.AskerOf(client), nil
}
