// Package httpapi owns the public HTTP face: the OAuth2 endpoints, metadata, keys, health, the revocation feed and the management API under /v1. It reads requests strictly, calls
// the services, and writes answers; errors are rendered in two places only: OAuth2 ones by RFC 6749 §5.2, those of /v1 by RFC 9457.
//
// It refuses to know: what is allowed (packages access and token), SQL, Redis, private keys.
package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/feed"
	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// outcome is what the log line of a request says beside its status.
type outcome struct {
	ClientID     string
	Code, Reason string // what the caller was told, and what only the log says; empty where all went well
	Actor        string // of a management call: who was let in
	Cause        error
}

func outcomeOf(c *gin.Context) outcome {
	v, _ := c.Get("outcome")
	o, _ := v.(outcome)
	return o
}

func note(c *gin.Context, clientID string, err *token.Error) {
	o := outcome{ClientID: clientID}
	if err != nil {
		o.Code, o.Reason, o.Cause = err.Code, err.Reason, err.Cause
	}
	c.Set("outcome", o)
}

func (s *Server) token(alias bool) gin.HandlerFunc {
	var query []string
	if alias {
		query = []string{"grant_type", "scope"}
	}
	return func(c *gin.Context) {
		f, err := readForm(c.Writer, c.Request, query...)
		var client token.Authenticated
		if err == nil {
			client, err = s.authenticate(c, f)
		}
		if err != nil {
			s.refuse(c, f.get("client_id"), err)
			return
		}
		r := token.Request{GrantType: f.get("grant_type"), Scope: f.get("scope"), Resources: f.resources, IP: c.ClientIP(), UserAgent: svcauth.RedactSecrets(c.Request.UserAgent())}
		if a := f.get("audience"); a != "" {
			r.Resources = append(r.Resources, a)
		}
		issued, err := s.cfg.Token.Issue(contextOf(c), client, r)
		if err != nil {
			s.refuse(c, client.ClientID, err)
			return
		}
		note(c, client.ClientID, nil)
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

func writeJSON(c *gin.Context, status int, body []byte) {
	h := c.Writer.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["Pragma"] = noCache
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	c.Writer.WriteHeader(status)
	_, _ = c.Writer.Write(body)
}

// writeEmpty answers 200 without a body, and so without a Content-Type (RFC
// 9110 §8.3): a client that goes by it would parse nothing as JSON.
func writeEmpty(c *gin.Context) {
	h := c.Writer.Header()
	h["Cache-Control"], h["Pragma"] = noStore, noCache
	h["Content-Length"] = []string{"0"}
	c.Writer.WriteHeader(http.StatusOK)
	c.Writer.WriteHeaderNow()
}

var (
	jsonType = []string{"application/json"}
	noStore  = []string{"no-store"}
	noCache  = []string{"no-cache"}
)

// authenticate takes the client's credential from exactly one place: RFC 6749 §2.3.1, §2.3 (one method a request).
func (s *Server) authenticate(c *gin.Context, f form) (client token.Authenticated, err *token.Error) {
	cred := token.Credential{IP: clientAddr(c)}
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
	return s.cfg.Token.Authenticate(contextOf(c), cred)
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
	case clean(id) && clean(secret):
		return id, secret, ""
	case clean(strings.TrimRight(id, "\r\n")) && clean(strings.TrimRight(secret, "\r\n")):
		return "", "", lineBreak
	}
	return "", "", noBasic
}

func clientAddr(c *gin.Context) netip.Addr {
	addr, _ := netip.ParseAddr(c.ClientIP())
	return addr.Unmap()
}

// refuse renders an error of the OAuth2 endpoints, RFC 6749 §5.2.
func (s *Server) refuse(c *gin.Context, clientID string, err *token.Error) {
	if managed(c.Request.URL.Path) {
		s.manageRefusal(c, err)
		return
	}
	note(c, clientID, err)
	switch {
	case err.Reason == noBearer:
		challenge(c, "", "", "")
	case err.Code == token.CodeInvalidToken:
		challenge(c, err.Code, err.Description, "")
	case err.Code == token.CodeInsufficientScope:
		challenge(c, err.Code, "", svcauth.TokensIntrospect)
	case err.Status == http.StatusUnauthorized: // RFC 9110 §15.5.2, however the client had authenticated
		c.Header("WWW-Authenticate", `Basic realm="svcauth"`)
	}
	httpx.SetRetryAfter(c.Writer.Header(), err.RetryAfter)
	body, _ := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{err.Code, svcauth.RedactSecrets(err.Description)})
	writeJSON(c, err.Status, append(body, '\n'))
}

// revoke is RFC 7009. With ?wait= it answers when the resource servers enforce it, and says how many do.
func (s *Server) revoke(c *gin.Context) {
	wait, waits, err := waitParameter(c.Request)
	var f form
	if err == nil {
		f, err = readForm(c.Writer, c.Request)
	}
	if err != nil {
		s.refuse(c, "", err)
		return
	}
	client, err := s.authenticate(c, f)
	if err == nil {
		err = s.cfg.Token.Revoke(contextOf(c), client, f.get("token"))
	}
	if err != nil {
		s.refuse(c, f.get("client_id"), err)
		return
	}
	note(c, client.ClientID, nil)
	if !waits {
		writeEmpty(c)
		return
	}
	giveBack(c)
	body, _ := json.Marshal(s.cfg.Feed.Enforced(c.Request.Context(), feed.Scope{OrgID: client.OrgID, Operator: client.Operator}, wait))
	writeJSON(c, http.StatusOK, body)
}

// waitParameter takes wait out of the URL's query, where nothing else may stand.
func waitParameter(r *http.Request) (wait time.Duration, waits bool, refusal *token.Error) {
	text, is := strings.CutPrefix(r.URL.RawQuery, "wait=")
	if !is {
		return 0, false, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > svcauth.MaxWait {
		return 0, false, badRequest("wait is no time from 0s to %s, such as 2s or 500ms", svcauth.MaxWait)
	}
	r.URL.RawQuery = ""
	return wait, true, nil
}

// introspection is the answer of RFC 7662 §2.2 for a live token.
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id"`
	Subject   string   `json:"sub"`
	Audience  any      `json:"aud"`
	Issuer    string   `json:"iss"`
	ExpiresAt int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	JTI       string   `json:"jti"`
	TokenType string   `json:"token_type"`
	Roles     []string `json:"roles"`
	OrgID     string   `json:"org_id"`
}

func (s *Server) introspect(c *gin.Context) {
	f, err := readForm(c.Writer, c.Request)
	if err != nil {
		s.refuse(c, "", err)
		return
	}
	asker, err := s.asker(c, f)
	if err != nil {
		s.refuse(c, f.get("client_id"), err)
		return
	}
	p, err := s.cfg.Token.Introspect(contextOf(c), asker, f.get("token"))
	if err != nil {
		s.refuse(c, asker.ClientID, err)
		return
	}
	note(c, asker.ClientID, nil)
	if p == nil {
		writeJSON(c, http.StatusOK, []byte(`{"active":false}`))
		return
	}
	var audience any = p.Audience
	if len(p.Audience) == 1 {
		audience = p.Audience[0]
	}
	body, _ := json.Marshal(introspection{Active: true, Scope: p.Scope, ClientID: p.ClientID, Subject: p.Subject, Audience: audience, Issuer: p.Issuer,
		ExpiresAt: p.ExpiresAt.Unix(), IssuedAt: p.IssuedAt.Unix(), JTI: p.JTI, TokenType: "Bearer", Roles: append([]string{}, p.Roles...), OrgID: p.OrgID})
	writeJSON(c, http.StatusOK, body)
}

// asker authenticates who introspects: a client, or the bearer of a token (RFC 7662 §2.1).
func (s *Server) asker(c *gin.Context, f form) (token.Asker, *token.Error) {
	if headers := c.Request.Header.Values("Authorization"); len(headers) == 1 {
		if scheme, text, _ := strings.Cut(headers[0], " "); strings.EqualFold(scheme, "Bearer") {
			if f.get("client_secret") != "" {
				return token.Asker{}, badRequest("the caller authenticates in two ways at once: send a bearer token or a client secret, not both")
			}
			return s.cfg.Token.AskerFromBearer(contextOf(c), strings.TrimSpace(text))
		}
	}
	client, err := s.authenticate(c, f)
	if err != nil {
		return token.Asker{}, err
	}
	return token.AskerOf(client), nil
}
