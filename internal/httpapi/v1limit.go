package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// admit counts a call of a caller and of its organization until [leave]. Over
// their bounds it returns what they are told, without having asked the database
// anything.
func (m *management) admit(c *gin.Context, caller, organization string) *svcauth.Problem {
	o := outcomeOf(c)
	o.Actor = caller
	c.Set("outcome", o)
	if m.cfg.Callers == nil {
		return nil
	}
	leave, wait := m.cfg.Callers.Enter(caller, organization, time.Now())
	if wait == 0 {
		c.Set("leave", leave)
		c.Set("refused", func() { m.cfg.Callers.Refused(caller, organization, time.Now()) })
		return nil
	}
	hold(c, m.cfg.Callers, caller)
	p := svcauth.NewProblem(svcauth.CodeTooMany, "Too many calls at once, or within the last seconds, by you or by others of your organization. Nothing was changed; wait as Retry-After says, then go on more slowly.")
	p.RetryAfter = wait
	return p
}

// leave ends a call's part in the bounds on its caller: when it ends, or when
// it will only wait from here on.
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

// hold keeps back the answer to one call too many. It holds no place among the
// requests in work.
func hold(c *gin.Context, callers *limits.Callers, caller string) {
	c.Set("held", true)
	giveBack(c)
	if !callers.Hold(c.Request.Context(), caller) {
		c.Header("Connection", "close")
	}
}
