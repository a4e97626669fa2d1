package manage

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// admit counts a call of a caller and of its organization until
// [request.State.Leave]. Over their bounds it returns the refusal, without
// asking the database anything.
func (m *API) admit(c *gin.Context, caller, organization string) *svcauth.Problem {
	state := request.Of(c)
	wait := state.Admit(m.cfg.Callers, caller, organization)
	if wait == 0 {
		return nil
	}
	state.Outcome.Actor = caller
	request.Delay(c, m.cfg.Callers, caller)
	p := svcauth.NewProblem(svcauth.CodeTooMany,
		"Too many calls at once, or within the last seconds, by you or by others of your organization. "+
			"Nothing was changed; wait as Retry-After says, then go on more slowly.")
	p.RetryAfter = wait
	return p
}

// countRefusal counts a call as several if a rule has refused it.
func countRefusal(c *gin.Context) {
	if c.Writer.Status() == http.StatusForbidden {
		request.Of(c).CountRefusal()
	}
}
