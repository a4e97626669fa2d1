package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/changes"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// feedPage is an answer of the revocation feed in its polling form.
type feedPage struct {
	Cursor      string               `json:"cursor"`
	Snapshot    bool                 `json:"snapshot,omitempty"`
	Revocations []svcauth.Revocation `json:"revocations"`
}

// revocations serves the feed to who may introspect: all entries to the operator's organization, to others their own.
func (s *Server) revocations(c *gin.Context) {
	scheme, text, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		s.refuse(c, "", token.Refuse(token.CodeInvalidToken, "no_bearer", "expected Authorization: Bearer with a token that carries tokens:introspect"), false)
		return
	}
	asker, refusal := s.cfg.Token.AskerFromBearer(c.Request.Context(), strings.TrimSpace(text))
	if refusal == nil && !asker.Privileged {
		refusal = token.Refuse(token.CodeInsufficientScope, "scope", "the token lacks the privilege tokens:introspect")
	}
	if refusal != nil {
		s.refuse(c, asker.ClientID, refusal, false)
		return
	}
	since := int64(0)
	if given := c.Query("since"); given != "" {
		n, err := strconv.ParseInt(given, 10, 64)
		if err != nil || n < 0 {
			s.refuse(c, asker.ClientID, badRequest("since is no cursor of this feed"), false)
			return
		}
		since = n
	}
	entries, next, err := s.cfg.Feed.Since(c.Request.Context(), since)
	if err != nil {
		e := token.Refuse(token.CodeUnavailable, "unavailable", "the server can't reach its database; try again in a moment")
		e.Cause = err
		s.refuse(c, asker.ClientID, e, false)
		return
	}
	page := feedPage{Cursor: strconv.FormatInt(next, 10), Snapshot: since == 0, Revocations: []svcauth.Revocation{}}
	for _, entry := range entries {
		if asker.Operator || entry.OrgID == asker.OrgID {
			if r, err := changes.Revocation(entry); err == nil {
				page.Revocations = append(page.Revocations, r)
			}
		}
	}
	note(c, asker.ClientID, nil)
	body, _ := json.Marshal(page)
	writeJSON(c, http.StatusOK, body)
}
