package oauth

import (
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/request"
)

// introspection is the answer of RFC 7662 §2.2 for a live token.
type introspection struct {
	Active    bool     `json:"active" doc:"Whether the token is good now. If it is not, or is none that the caller may ask about, this is all that is said"`
	Scope     string   `json:"scope,omitempty" doc:"Its privileges, with spaces between; absent if it has none"`
	ClientID  string   `json:"client_id" required:"false" doc:"The client that got it"`
	Subject   string   `json:"sub" required:"false" doc:"Who acts by it: the service account, or the member of an application key"`
	Audience  any      `json:"aud" required:"false" doc:"The APIs that it is for: a string for one, an array for more"`
	Issuer    string   `json:"iss" required:"false" doc:"This server"`
	ExpiresAt int64    `json:"exp" required:"false" doc:"When it ends, in seconds since 1970"`
	IssuedAt  int64    `json:"iat" required:"false" doc:"When it was issued, in seconds since 1970"`
	JTI       string   `json:"jti" required:"false" doc:"Its id"`
	TokenType string   `json:"token_type" required:"false" doc:"How it is sent: Bearer, or DPoP if bound to a key"`
	Roles     []string `json:"roles" required:"false" doc:"The roles that give its privileges"`
	OrgID     string   `json:"org_id" required:"false" doc:"The organization of the client"`

	Confirmation *confirmation `json:"cnf,omitempty" doc:"What it is bound to (RFC 7800): who shows it must prove to have that; absent: nothing"`
}

// confirmation is what a token is bound to.
type confirmation struct {
	Key         string `json:"jkt,omitempty" doc:"The thumbprint of the key of its DPoP proofs (RFC 9449 §6.2)"`
	Certificate string `json:"x5t#S256,omitempty" doc:"The thumbprint of a client certificate (RFC 8705 §3.2)"`
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
	said := introspection{
		Active: true, TokenType: "Bearer", JTI: p.JTI, Issuer: p.Issuer, Audience: audience,
		Subject: p.Subject, ClientID: p.ClientID, OrgID: p.OrgID, Scope: p.Scope,
		Roles:     append([]string{}, p.Roles...),
		ExpiresAt: p.ExpiresAt.Unix(), IssuedAt: p.IssuedAt.Unix(),
	}
	if p.Bound() {
		said.Confirmation = &confirmation{Key: p.BoundKey, Certificate: p.BoundCertificate}
	}
	if p.BoundKey != "" {
		said.TokenType = dpop.Scheme
	}
	body, _ := json.Marshal(said)
	writeJSON(c, http.StatusOK, body)
}
