package manage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const problemType = "application/problem+json"

const failed = "The server failed; its log has the reason under this request id."

// problem answers with a problem. cause, if it is not nil, goes to the log.
func (m *API) problem(c *gin.Context, p *svcauth.Problem, cause error) {
	m.complete(c, p, cause)
	body, err := json.Marshal(p)
	if err != nil {
		m.cfg.Logger.Error("a problem could not be written", "error", err)
	}
	c.Data(p.Status, problemType, append(body, '\n'))
	c.Abort()
}

// complete sets the request id and the headers of a problem, and the reason in
// the log line.
func (m *API) complete(c *gin.Context, p *svcauth.Problem, cause error) {
	p.RequestID = request.Of(c).ID
	p.Detail = untrusted.RedactSecrets(p.Detail) // it may repeat what was sent
	for i := range p.Errors {
		e := &p.Errors[i]
		e.Location, e.Message = untrusted.RedactSecrets(e.Location), untrusted.RedactSecrets(e.Message)
	}
	c.Header("Cache-Control", "no-store")
	insufficient(c, p)
	if p.Status == http.StatusServiceUnavailable && p.RetryAfter == 0 {
		p.RetryAfter = time.Second
	}
	httpx.SetRetryAfter(c.Writer.Header(), p.RetryAfter)
	o := &request.Of(c).Outcome
	o.Code, o.Reason, o.Said, o.Cause = p.Code, p.Code, p.Detail, cause
}

// Refuse answers with a problem what the frame does not let through.
func (m *API) Refuse(c *gin.Context, fault request.Fault, cause error) {
	var p *svcauth.Problem
	switch fault {
	case request.NotFound:
		p = svcauth.NewProblem(svcauth.CodeNotFound,
			"There is nothing at this path. The API is described at %s/docs.", m.cfg.Issuer)
	case request.MethodNotAllowed:
		p = svcauth.NewProblem(svcauth.CodeMethodNotAllowed,
			"This method is not allowed here; the Allow header says which are.")
	case request.TooManyFields:
		p = svcauth.NewProblem(svcauth.CodeMalformed,
			"the request has more than %d header fields", request.MaxHeaderFields)
	case request.ProxyField:
		p = svcauth.NewProblem(svcauth.CodeMalformed, request.ForeignFieldText)
	case request.Overloaded:
		p = svcauth.NewProblem(svcauth.CodeUnavailable,
			"The server is busy. "+away.Unchanged)
	case request.Unavailable:
		p = svcauth.NewProblem(svcauth.CodeUnavailable, "%s", away.Sentence(away.Database, away.Unchanged))
	default:
		p = svcauth.NewProblem(svcauth.CodeInternal, failed)
	}
	m.problem(c, p, cause)
}

// refusal carries a problem through the library.
type refusal struct {
	*svcauth.Problem
	cause error
}

// GetStatus is asked by the library.
func (r *refusal) GetStatus() int { return r.Status }

// ContentType is asked by the library.
func (r *refusal) ContentType(string) string { return problemType }

// refusal makes a problem of whatever the services return.
func (m *API) refusal(ctx context.Context, err error) error {
	var p *svcauth.Problem
	if errors.As(err, &p) {
		r := &refusal{Problem: p}
		if p.Status >= 500 {
			r.cause = err
		}
		return r
	}
	if ctx.Err() != nil {
		return &refusal{svcauth.NewProblem(svcauth.CodeUnavailable,
			"The request was given up before it was done. Look whether the change is there before you repeat it."), err}
	}
	return &refusal{svcauth.NewProblem(svcauth.CodeInternal, failed), err}
}

// render is the last step before an answer is written. It turns errors, the
// library's too, into problems.
func (m *API) render(ctx huma.Context, status string, v any) (any, error) {
	c := humagin.Unwrap(ctx)
	switch e := v.(type) {
	case *refusal:
		m.complete(c, e.Problem, e.cause)
		return e.Problem, nil
	case *huma.ErrorModel:
		p := libraryProblem(e)
		m.complete(c, p, nil)
		return p, nil
	}
	if status == "204" {
		c.Writer.Header().Del("Content-Type")
	}
	return v, nil
}

// libraryProblem translates what the library found wrong with a request. It
// leaves out values, since one may be a secret.
func libraryProblem(e *huma.ErrorModel) *svcauth.Problem {
	if e.Status == http.StatusBadRequest && len(e.Errors) == 0 {
		return svcauth.NewProblem(svcauth.CodeMalformed,
			"A body is needed: a JSON object, with Content-Type: application/json.")
	}
	code := svcauth.CodeInvalid
	switch {
	case e.Status >= 500:
		code = svcauth.CodeInternal
	case e.Status == http.StatusBadRequest:
		code = svcauth.CodeMalformed
	case e.Status == http.StatusPreconditionFailed:
		code = svcauth.CodePreconditionFailed
	}
	p := svcauth.NewProblem(code, "The request can't be taken.")
	for _, d := range e.Errors[:min(len(e.Errors), maxFaults)] {
		if d != nil {
			p.Errors = append(p.Errors, fault(d))
		}
	}
	if len(p.Errors) > 0 {
		p.Detail = p.Errors[0].Location + ": " + p.Errors[0].Message + "."
	}
	if n := len(e.Errors); n > 1 {
		p.Detail += fmt.Sprintf(" There are %d faults in all.", n)
	}
	return p
}

const (
	maxFaults   = 20
	maxLocation = 100 // bytes
)

var (
	missingField = regexp.MustCompile(`^expected required property (\S+) to be present$`)
	sentences    = []struct {
		form *regexp.Regexp
		text string
	}{
		{regexp.MustCompile(`^unexpected property$`), "there is no such field here; take it out"},
		{regexp.MustCompile(`^unknown query parameter$`), "there is no such parameter here; take it out"},
		{regexp.MustCompile(`^expected length >= 1$`), "must not be empty"},
		{regexp.MustCompile(`^expected length >= (\d+)$`), "expected at least $1 characters"},
		{regexp.MustCompile(`^expected length <= (\d+)$`), "expected at most $1 characters"},
		{regexp.MustCompile(`^expected array length <= (\d+)$`), "expected at most $1 entries"},
		{regexp.MustCompile(`^expected number >= (\S+)$`), "expected a number of at least $1"},
		{regexp.MustCompile(`^expected number <= (\S+)$`), "expected a number of at most $1"},
		{regexp.MustCompile(`^expected string to be RFC 3339 date-time$|^invalid date/time.*`),
			"expected a moment as RFC 3339 writes it, such as 2030-01-31T12:00:00Z"},
		{regexp.MustCompile(`^expected (boolean|string|integer|number|array|object)$`), "expected JSON's type $1"},
		{regexp.MustCompile(`^expected string to match pattern \^svcs_.*`), "expected svcs_ and 49 letters or digits"},
		{regexp.MustCompile(`^invalid (integer|boolean)$`), "expected a value of type $1"},
	}
)

// fault puts one fault into our words.
func fault(d *huma.ErrorDetail) svcauth.ProblemField {
	at, message := d.Location, d.Message
	if found := missingField.FindStringSubmatch(message); found != nil {
		at, message = at+"."+found[1], "is missing"
	}
	for _, s := range sentences {
		if s.form.MatchString(message) {
			message = s.form.ReplaceAllString(message, s.text)
			break
		}
	}
	if strings.HasPrefix(at, "query.") && strings.Contains(message, "RFC 3339") {
		message += "; within a URL, + is written %2B"
	}
	if len(at) > maxLocation {
		at = strings.ToValidUTF8(at[:maxLocation], "") + "…"
	}
	return svcauth.ProblemField{Location: at, Message: message}
}
