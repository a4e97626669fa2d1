package manage

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// admit counts a call of a caller and of its organization until [leave]. Over
// their bounds it returns the refusal, without asking the database anything.
func (m *API) admit(c *gin.Context, caller, organization string) *svcauth.Problem {
	request.Of(c).Outcome.Actor = caller
	if m.cfg.Callers == nil {
		return nil
	}
	leave, wait := m.cfg.Callers.Enter(caller, organization, time.Now())
	if wait == 0 {
		c.Set("leave", leave)
		c.Set("refused", func() { m.cfg.Callers.Refused(caller, organization, time.Now()) })
		return nil
	}
	request.Delay(c, m.cfg.Callers, caller)
	p := svcauth.NewProblem(svcauth.CodeTooMany,
		"Too many calls at once, or within the last seconds, by you or by others of your organization. "+
			"Nothing was changed; wait as Retry-After says, then go on more slowly.")
	p.RetryAfter = wait
	return p
}

// leave takes a call out of the bounds on its caller. It is called when the
// call ends, or when the call will only wait from here on.
func leave(c *gin.Context) {
	if leave, ok := c.Value("leave").(func()); ok {
		leave()
	}
}

// countRefusal counts a call as several if a rule has refused it.
func countRefusal(c *gin.Context) {
	if refused, ok := c.Value("refused").(func()); ok && c.Writer.Status() == http.StatusForbidden {
		refused()
	}
}
