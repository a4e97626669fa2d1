package oauth

import (
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/request"
)

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

func (e *Endpoints) introspect(c *gin.Context) {
	f, err := readForm(c.Writer, c.Request)
	if err != nil {
		e.refuse(c, "", err)
		return
	}
	by, err := e.introspector(c, f)
	if err != nil {
		e.refuse(c, f.get("client_id"), err)
		return
	}
	p, err := e.cfg.Token.Introspect(request.Context(c), by, f.get("token"))
	if err != nil {
		e.refuse(c, by.ClientID, err)
		return
	}
	recordOutcome(c, by.ClientID, nil)
	if p == nil {
		writeJSON(c, http.StatusOK, []byte(`{"active":false}`))
		return
	}
	var audience any = p.Audience
	if len(p.Audience) == 1 {
		audience = p.Audience[0]
	}
	body, _ := json.Marshal(introspection{
		Active: true, TokenType: "Bearer", JTI: p.JTI, Issuer: p.Issuer, Audience: audience,
		Subject: p.Subject, ClientID: p.ClientID, OrgID: p.OrgID, Scope: p.Scope,
		Roles:     append([]string{}, p.Roles...),
		ExpiresAt: p.ExpiresAt.Unix(), IssuedAt: p.IssuedAt.Unix(),
	})
	writeJSON(c, http.StatusOK, body)
}
