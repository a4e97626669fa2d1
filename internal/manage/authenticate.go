package manage

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// authenticate puts the caller into the context: the bearer of a token of this
// server, or the member who is signed in to the console.
func (m *API) authenticate(ctx huma.Context, next func(huma.Context)) {
	c := humagin.Unwrap(ctx)
	c.Header("Cache-Control", "no-store")
	state := request.Of(c)
	defer state.Leave()
	actor, refusal, cause := m.actor(c)
	if refusal != nil {
		m.problem(c, refusal, cause)
		return
	}
	actor.IP, actor.RequestID = state.IP, state.ID
	state.Outcome = request.Outcome{ClientID: actor.ClientID, Actor: actor.ID}
	inner := request.WithState(access.WithActor(ctx.Context(), actor), state)
	if slot := state.Slot(); slot != nil {
		inner = limits.WithPlace(inner, slot)
	}
	next(huma.WithContext(ctx, inner))
	countRefusal(c)
}

// actor finds out who calls. If a token is sent, only the token counts.
func (m *API) actor(c *gin.Context) (access.Actor, *svcauth.Problem, error) {
	headers := c.Request.Header.Values("Authorization")
	if len(headers) == 0 {
		return m.sessionActor(c)
	}
	scheme, text, _ := strings.Cut(headers[0], " ")
	if text = strings.TrimSpace(text); len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || text == "" {
		return access.Actor{}, m.unauthenticated(c, "",
			"Expected one Authorization header: Bearer, and an access token of this server."), nil
	}
	principal, err := m.cfg.Token.VerifyOwn(c.Request.Context(), text)
	if err == nil {
		if refusal := m.admit(c, principal.Subject, principal.OrgID); refusal != nil {
			return access.Actor{}, refusal, nil
		}
		state := request.Of(c)
		state.Organization, state.Operator = principal.OrgID, m.cfg.Token.FromOperator(principal.ClientID)
		actor, err := m.cfg.Access.TokenActor(request.Context(c), principal)
		return m.knownActor(c, actor, err)
	}
	var refusal *verify.Error
	if !errors.As(err, &refusal) || refusal.Code == verify.CodeUnavailable {
		return access.Actor{}, svcauth.NewProblem(svcauth.CodeUnavailable,
			"The token can't be checked right now. "+away.Unchanged), err
	}
	return access.Actor{}, m.unauthenticated(c, refusal.Description,
		"The access token is refused: %s. Get a new one from %s/oauth2/token; "+
			"its audience must be this server.",
		refusal.Description, m.cfg.Issuer), err
}

// knownActor returns what the rules found about the bearer of a valid token. A
// bearer that is gone by now is not authenticated (RFC 6750 §3.1).
func (m *API) knownActor(c *gin.Context, actor access.Actor, err error) (access.Actor, *svcauth.Problem, error) {
	var refusal *svcauth.Problem
	switch {
	case err == nil:
		return actor, nil, nil
	case errors.As(err, &refusal) && refusal.Status >= 500:
		return actor, refusal, err
	case errors.As(err, &refusal):
		return actor, m.unauthenticated(c, refusal.Detail, "%s", refusal.Detail), err
	}
	return actor, svcauth.NewProblem(svcauth.CodeInternal,
		"The server failed; its log has the reason under this request id."), err
}

// sessionActor authenticates by the console's session. A browser sends its
// cookie with the requests of any page, so a change must come from a page of
// our own.
func (m *API) sessionActor(c *gin.Context) (access.Actor, *svcauth.Problem, error) {
	actor, ok, err := access.Actor{}, false, error(nil)
	if m.cfg.SessionActor != nil {
		actor, ok, err = m.cfg.SessionActor(c.Request.WithContext(request.Context(c)))
	}
	if err != nil {
		return m.knownActor(c, access.Actor{}, err)
	}
	if !ok {
		return access.Actor{}, m.unauthenticated(c, "",
			"Nobody is signed in: send Authorization: Bearer with an access token of this server."), nil
	}
	if err := m.crossOrigin.Check(c.Request); err != nil {
		return actor, svcauth.NewProblem(svcauth.CodeForbidden,
			"This request came from another site's page. With the console's session, "+
				"changes are taken from the console only."), err
	}
	return actor, m.admit(c, actor.ID, actor.OrgID), nil
}

// unauthenticated returns a 401 and sets its challenge (RFC 6750 §3). The
// challenge has no error code if no token came.
func (m *API) unauthenticated(c *gin.Context, fault, format string, args ...any) *svcauth.Problem {
	code := ""
	if fault != "" {
		code = oautherr.CodeInvalidToken
	}
	request.Challenge(c, code, fault, "")
	return svcauth.NewProblem(svcauth.CodeUnauthenticated, format, args...)
}

// insufficient adds the challenge of a 403 for a token that lacks privileges,
// RFC 6750 §3.1.
func insufficient(c *gin.Context, p *svcauth.Problem) {
	if p.Status == http.StatusForbidden && len(p.Missing) > 0 && c.GetHeader("Authorization") != "" {
		request.Challenge(c, oautherr.CodeInsufficientScope, "", strings.Join(p.Missing, " "))
	}
}

// Known reports whether the caller has authenticated by what the header of r
// carries. within is the context of r with its slot. Known returns an error if
// this can't be found out now.
func (m *API) Known(r *http.Request, within context.Context) (bool, error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		_, err := m.cfg.Token.VerifyOwn(r.Context(), strings.TrimSpace(text))
		var refusal *verify.Error
		if errors.As(err, &refusal) && refusal.Code == verify.CodeUnavailable {
			return false, err
		}
		return err == nil, nil
	}
	if m.cfg.SessionActor == nil {
		return false, nil
	}
	_, ok, err := m.cfg.SessionActor(r.WithContext(within))
	return ok, err
}
