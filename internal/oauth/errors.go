package oauth

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/refusals"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/untrusted"
)

func badRequest(format string, args ...any) *oautherr.Error {
	return oautherr.New(oautherr.CodeInvalidRequest, "malformed", format, args...)
}

func unreadable(cause error) *oautherr.Error {
	return oautherr.Unavailable(cause)
}

// Refuse answers what the frame does not let through, in the form of RFC 6749
// §5.2. cause, if it is not nil, goes to the log.
func (e *Endpoints) Refuse(c *gin.Context, fault request.Fault, cause error) {
	var refusal *oautherr.Error
	switch fault {
	case request.NotFound:
		refusal = oautherr.New("not_found", "no_route",
			"there is nothing at this path; the metadata at %s names the endpoints", e.cfg.Issuer+metadataPath)
		refusal.Status = http.StatusNotFound
	case request.MethodNotAllowed:
		refusal = oautherr.New(oautherr.CodeInvalidRequest, "method",
			"this method is not allowed here; the Allow header says which are")
		refusal.Status = http.StatusMethodNotAllowed
	case request.TooManyFields:
		refusal = badRequest("the request has more than %d header fields", request.MaxHeaderFields)
		refusal.Status = http.StatusRequestHeaderFieldsTooLarge
	case request.ProxyField:
		refusal = oautherr.New(oautherr.CodeInvalidRequest, request.ForeignField, request.ForeignFieldText)
	case request.Overloaded:
		refusal = oautherr.New(oautherr.CodeUnavailable, request.Overload, "the server is busy; try again in a moment")
		refusal.RetryAfter = time.Second
	case request.Unavailable:
		refusal = unreadable(cause)
	default:
		refusal = oautherr.ServerError(cause)
	}
	e.write(c, "", refusal)
}

// refuse answers with an error, and records it for the organization of the
// client that the request names.
func (e *Endpoints) refuse(c *gin.Context, clientID string, err *oautherr.Error) {
	e.write(c, clientID, err)
	if err.Status >= http.StatusInternalServerError {
		return // the frame records what the server failed at
	}
	of := request.Of(c)
	by, detail := of.Claimant, err.Detail
	if detail == "" {
		detail = withoutSpecimens(err.Description)
	}
	e.cfg.Refusals.Note(refusals.Refusal{
		OrgID: by.OrgID, ClientID: by.ClientID, Proven: by.Proven, CredentialID: by.CredentialID,
		RequestID: of.ID, Endpoint: c.FullPath(), Code: err.Code, Reason: err.Reason, Detail: detail,
		IP: request.ClientAddr(c), UserAgent: c.Request.UserAgent(),
	})
}

// quoted is what a description repeats of the request.
var quoted = regexp.MustCompile(`'[^']*'`)

// withoutSpecimens returns a description as it may be kept. What it repeats of
// the request stays if it has the colon of a privilege or a URI, and no @,
// before which a URI has a password. Anything else may be a password or a token
// that was put into the wrong parameter.
func withoutSpecimens(description string) string {
	return quoted.ReplaceAllStringFunc(untrusted.RedactSecrets(description), func(text string) string {
		if strings.Contains(text, ":") && !strings.Contains(text, "@") {
			return text
		}
		return "'...'"
	})
}

// write renders an error of the OAuth2 endpoints, RFC 6749 §5.2.
func (e *Endpoints) write(c *gin.Context, clientID string, err *oautherr.Error) {
	recordOutcome(c, clientID, err)
	if err.Challenge != "" {
		c.Header("WWW-Authenticate", err.Challenge)
	}
	if err.Nonce != "" { // RFC 9449 §8
		c.Header(dpop.NonceHeader, err.Nonce)
	}
	httpx.SetRetryAfter(c.Writer.Header(), err.RetryAfter)
	writeJSON(c, err.Status, ErrorBody(err.Code, untrusted.RedactSecrets(err.Description)))
}

// ErrorBody returns the body of an error of the OAuth2 endpoints (RFC 6749
// §5.2).
func ErrorBody(code, description string) []byte {
	body, _ := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, description})
	return append(body, '\n')
}

// recordOutcome records how the request ended, for the log and the metrics. err
// is nil if all went well.
func recordOutcome(c *gin.Context, clientID string, err *oautherr.Error) {
	o := request.Outcome{ClientID: clientID}
	if err != nil {
		o.Code, o.Reason, o.Said, o.Cause = err.Code, err.Reason, err.Description, err.Cause
	}
	request.Of(c).Outcome = o
}
