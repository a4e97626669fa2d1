package console

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountRefusals(g *gin.RouterGroup) {
	g.GET("/service-accounts/:id/refusals", k.signedIn(refusalsTab))
	g.GET("/requests", k.signedIn(requestPage))
}

// refusalsTab shows what a service account was refused at the OAuth2 endpoints.
func refusalsTab(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	d := accountData{Account: a, Tab: "refusals", Audits: v.actor.Has(svcauth.AuditRead)}
	if d.Refusals, err = v.k.cfg.Access.Refusals(v.ctx(), a.ID); err != nil {
		return err
	}
	return v.accountPage(http.StatusOK, d)
}

// requestData is the page that looks up a request by its id.
type requestData struct {
	Form        *form
	Explanation *svcauth.Explanation // nil: nothing was asked, or nothing is kept
}

// requestPage explains one request that was refused, by the id that its caller
// was told.
func requestPage(v *visit) error {
	if _, err := access.Caller(v.ctx(), svcauth.AuditRead); err != nil {
		return err
	}
	id := strings.TrimSpace(v.Query("id"))
	d := requestData{Form: filled("id", id)}
	if id != "" {
		explanation, err := v.k.cfg.Token.Explain(v.ctx(), svcauth.ExplainRequest{RequestID: id})
		var problem *svcauth.Problem
		switch {
		case err == nil:
			d.Explanation = &explanation
		case !errors.As(err, &problem) || problem.Code != svcauth.CodeNotFound && problem.Code != svcauth.CodeInvalid:
			return err
		case problem.Code == svcauth.CodeNotFound:
			d.Form.Problem = problem.Detail
		default:
			d.Form.fail("id", "Expected the id of a request: req_ and 26 letters and digits.")
		}
	}
	return v.render(d.Form.status(), "request", page{
		Title:  "Look up a request",
		Nav:    "audit-log",
		Parent: &link{"Audit log", "/console/audit-log"},
		Data:   d,
	})
}
