package oauth

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/feed"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// revoke serves RFC 7009. With ?wait= it answers once the resource servers
// enforce the revocation, and with how many of them do.
func (e *Endpoints) revoke(c *gin.Context) {
	wait, waits, err := waitParameter(c.Request)
	var f form
	if err == nil {
		f, err = readForm(c.Writer, c.Request)
	}
	if err != nil {
		e.refuse(c, "", err)
		return
	}
	client, err := e.authenticate(c, f)
	var scope feed.Scope
	if err == nil {
		scope = feed.Scope{OrgID: client.OrgID, Operator: client.Operator}
		if waits && wait > 0 {
			defer e.cfg.Feed.Expect(scope)()
		}
		err = e.cfg.Token.Revoke(request.Context(c), client, f.get("token"))
	}
	if err != nil {
		e.refuse(c, f.get("client_id"), err)
		return
	}
	recordOutcome(c, client.ClientID, nil)
	if !waits {
		writeEmpty(c)
		return
	}
	request.Release(c)
	body, _ := json.Marshal(e.cfg.Feed.AwaitEnforcement(c.Request.Context(), scope, wait))
	writeJSON(c, http.StatusOK, body)
}

const waitParam = "wait"

// waitParameter takes wait out of the URL's query. Nothing else may be there.
func waitParameter(r *http.Request) (wait time.Duration, waits bool, refusal *oautherr.Error) {
	text, ok := strings.CutPrefix(r.URL.RawQuery, waitParam+"=")
	if !ok {
		return 0, false, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > svcauth.MaxWait {
		return 0, false, badRequest("wait is no time from 0s to %s, such as 2s or 500ms",
			timespan.Text(svcauth.MaxWait))
	}
	r.URL.RawQuery = ""
	return wait, true, nil
}
