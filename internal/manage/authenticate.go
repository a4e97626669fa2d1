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
	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/token"
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
	shown, ok := token.Present(c.Request, request.Method(c.Request), request.Of(c).Proxied)
	if !ok {
		return access.Actor{}, m.unauthenticated(c, nil,
			"Expected one Authorization header: Bearer, and an access token of this server; or DPoP, where the token "+
				"is bound to a key."), nil
	}
	state := request.Of(c)
	var tooMany *svcauth.Problem
	principal, nonce, err := m.cfg.Token.VerifyPresented(c.Request.Context(), shown,
		func(p *verify.Claims) (withdraw func(), err error) {
			if tooMany = m.admit(c, p.Subject, p.OrgID); tooMany != nil {
				return nil, tooMany
			}
			return state.Withdraw, nil
		})
	if tooMany != nil {
		return access.Actor{}, tooMany, nil
	}
	if err == nil {
		if nonce != "" { // RFC 9449 §8.2
			c.Header(dpop.NonceHeader, nonce)
		}
		state.Outcome.Actor = principal.Subject
		state.Organization, state.Operator = principal.OrgID, m.cfg.Token.FromOperator(principal.ClientID)
		state.Claimant = request.Claimant{OrgID: principal.OrgID, ClientID: principal.ClientID, Proven: true}
		actor, err := m.cfg.Access.TokenActor(request.Context(c), principal)
		return m.knownActor(c, actor, err)
	}
	var refusal *verify.Error
	if !errors.As(err, &refusal) || refusal.Code == verify.CodeUnavailable {
		return access.Actor{}, svcauth.NewProblem(svcauth.CodeUnavailable,
			"The token can't be checked right now. "+away.Unchanged), err
	}
	if refusal.Scheme == dpop.Scheme {
		return access.Actor{}, m.unauthenticated(c, refusal,
			"The access token is refused: %s.", refusal.Description), err
	}
	return access.Actor{}, m.unauthenticated(c, refusal,
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
		return actor, m.unauthenticated(c, &verify.Error{Code: verify.CodeInvalidToken, Description: refusal.Detail},
			"%s", refusal.Detail), err
	}
	return actor, svcauth.NewProblem(svcauth.CodeInternal, failed), err
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
		return access.Actor{}, m.unauthenticated(c, nil,
			"Nobody is signed in: send Authorization: Bearer with an access token of this server."), nil
	}
	if err := m.crossOrigin.Check(c.Request); err != nil {
		return actor, svcauth.NewProblem(svcauth.CodeForbidden,
			"This request came from another site's page. With the console's session, "+
				"changes are taken from the console only."), err
	}
	request.Of(c).Outcome.Actor = actor.ID
	request.Of(c).Claimant = request.Claimant{OrgID: actor.OrgID, ClientID: actor.ID, Proven: true}
	return actor, m.admit(c, actor.ID, actor.OrgID), nil
}

// unauthenticated returns a 401 and sets its challenge (RFC 6750 §3, RFC 9449
// §7.1). The challenge has no error code if fault is nil: no token came.
func (m *API) unauthenticated(c *gin.Context, fault *verify.Error, format string, args ...any) *svcauth.Problem {
	if fault == nil {
		fault = &verify.Error{}
	}
	if fault.Nonce != "" {
		c.Header(dpop.NonceHeader, fault.Nonce)
	}
	request.Challenge(c, fault.Scheme, fault.Code, fault.Description, "")
	return svcauth.NewProblem(svcauth.CodeUnauthenticated, format, args...)
}

// insufficient adds the challenge of a 403 for a token that lacks privileges,
// RFC 6750 §3.1.
func insufficient(c *gin.Context, p *svcauth.Problem) {
	if p.Status == http.StatusForbidden && len(p.Missing) > 0 && c.GetHeader("Authorization") != "" {
		shown, _ := token.Present(c.Request, "", false)
		request.Challenge(c, shown.Scheme, oautherr.CodeInsufficientScope, "", strings.Join(p.Missing, " "))
	}
}

// Known reports whether the caller has authenticated by what the header of r
// carries. within is the context of r with its slot. Known returns an error if
// this can't be found out now.
func (m *API) Known(r *http.Request, within context.Context) (bool, error) {
	if shown, _ := token.Present(r, "", false); shown.Scheme != "" {
		// What the token is bound to is proven once, by the call itself.
		_, err := m.cfg.Token.VerifyOwn(r.Context(), shown.Token)
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
