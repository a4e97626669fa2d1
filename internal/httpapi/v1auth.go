package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

type requestKey struct{}

// authenticate puts the caller into the context: the bearer of a token of this server, or who is signed in to the console.
func (m *management) authenticate(ctx huma.Context, next func(huma.Context)) {
	c := humagin.Unwrap(ctx)
	c.Header("Cache-Control", "no-store")
	actor, refusal, cause := m.actor(c)
	defer leave(c)
	if refusal != nil {
		m.problem(c, refusal, cause)
		return
	}
	actor.IP, actor.RequestID = c.ClientIP(), c.GetString("request_id")
	c.Set("outcome", outcome{ClientID: actor.ClientID, Actor: actor.ID})
	inner := access.WithActor(ctx.Context(), actor)
	if p := placeOf(c); p != nil {
		inner = limits.WithPlace(inner, p)
	}
	next(huma.WithContext(ctx, context.WithValue(inner, requestKey{}, c)))
	countRefusal(c)
}

// actor finds out who calls. Where a token is sent, only the token counts.
func (m *management) actor(c *gin.Context) (access.Actor, *svcauth.Problem, error) {
	headers := c.Request.Header.Values("Authorization")
	if len(headers) == 0 {
		return m.sessionActor(c)
	}
	scheme, text, _ := strings.Cut(headers[0], " ")
	if text = strings.TrimSpace(text); len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || text == "" {
		return access.Actor{}, m.unauthenticated(c, "", "Expected one Authorization header: Bearer, and an access token of this server."), nil
	}
	principal, err := m.cfg.Token.VerifyOwn(c.Request.Context(), text)
	if err == nil {
		if refusal := m.admit(c, principal.Subject, principal.OrgID); refusal != nil {
			return access.Actor{}, refusal, nil
		}
		if p := placeOf(c); p != nil {
			p.organization, p.operator = principal.OrgID, m.cfg.Token.FromOperator(principal.ClientID)
		}
		actor, err := m.cfg.Access.TokenActor(contextOf(c), principal)
		return m.knownActor(c, actor, err)
	}
	var refusal *resourceserver.Error
	if !errors.As(err, &refusal) || refusal.Code == resourceserver.CodeUnavailable {
		return access.Actor{}, svcauth.NewProblem(svcauth.CodeUnavailable, "The token can't be checked right now. Nothing was changed; try again in a moment."), err
	}
	return access.Actor{}, m.unauthenticated(c, refusal.Description, "The access token is refused: %s. Get a new one from %s/oauth2/token; its audience must be this server.", refusal.Description, m.cfg.Issuer), err
}

// knownActor takes what the rules say of the bearer: one who is gone since is not authenticated, RFC 6750 §3.1.
func (m *management) knownActor(c *gin.Context, actor access.Actor, err error) (access.Actor, *svcauth.Problem, error) {
	var refusal *svcauth.Problem
	switch {
	case err == nil:
		return actor, nil, nil
	case errors.As(err, &refusal) && refusal.Status >= 500:
		return actor, refusal, err
	case errors.As(err, &refusal):
		return actor, m.unauthenticated(c, refusal.Detail, "%s", refusal.Detail), err
	}
	return actor, svcauth.NewProblem(svcauth.CodeInternal, "The server failed; its log has the reason under this request id."), err
}

// sessionActor takes the console's session. A cookie is sent by the browser
// whoever made the page, so that what changes something must come from our own.
func (m *management) sessionActor(c *gin.Context) (access.Actor, *svcauth.Problem, error) {
	actor, ok, err := access.Actor{}, false, error(nil)
	if m.cfg.SessionActor != nil {
		actor, ok, err = m.cfg.SessionActor(c.Request.WithContext(contextOf(c)))
	}
	if err != nil {
		return m.knownActor(c, access.Actor{}, err)
	}
	if !ok {
		return access.Actor{}, m.unauthenticated(c, "", "Nobody is signed in: send Authorization: Bearer with an access token of this server."), nil
	}
	if err := m.crossOrigin.Check(c.Request); err != nil {
		return actor, svcauth.NewProblem(svcauth.CodeForbidden, "This request came from another site's page. With the console's session, changes are taken from the console only."), err
	}
	return actor, m.admit(c, actor.ID, actor.OrgID), nil
}

// unauthenticated makes a 401 with its challenge, RFC 6750 §3: without an error code where no token came.
func (m *management) unauthenticated(c *gin.Context, fault, format string, args ...any) *svcauth.Problem {
	code := ""
	if fault != "" {
		code = token.CodeInvalidToken
	}
	challenge(c, code, fault, "")
	return svcauth.NewProblem(svcauth.CodeUnauthenticated, format, args...)
}

// noBearer is the reason of a refusal because no token came.
const noBearer = "no_bearer"

// challenge asks for a bearer token, RFC 6750 §3: with an error code (§3.1) only
// if a token came, and with the scope that it lacks.
func challenge(c *gin.Context, code, fault, scope string) {
	text := `Bearer realm="svcauth"`
	for _, attribute := range [][2]string{{"error", code}, {"error_description", fault}, {"scope", scope}} {
		if attribute[1] != "" {
			text += `, ` + attribute[0] + `="` + untrusted.Quotable(attribute[1], 300) + `"`
		}
	}
	c.Header("WWW-Authenticate", text)
}

// insufficient adds the challenge of a 403 for a token that lacks privileges, RFC 6750 §3.1.
func insufficient(c *gin.Context, p *svcauth.Problem) {
	if p.Status == http.StatusForbidden && len(p.Missing) > 0 && c.GetHeader("Authorization") != "" {
		challenge(c, token.CodeInsufficientScope, "", strings.Join(p.Missing, " "))
	}
}
