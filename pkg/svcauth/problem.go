package svcauth

import (
	"fmt"
	"strings"
	"time"
)

// Problem is an error of the management API (RFC 9457). The server's answers
// and the [Client]'s errors have the same type: use errors.As with *Problem.
type Problem struct {
	Type      string         `json:"type" doc:"urn:svcauth:problem: and the code"`
	Title     string         `json:"title" doc:"The same for every problem with this code"`
	Status    int            `json:"status" doc:"The HTTP status"`
	Detail    string         `json:"detail" doc:"What was wrong, what was expected, what to do"`
	Code      string         `json:"code" doc:"What kind of error, stable: invalid, malformed, unauthenticated, forbidden, missing_privileges, not_found, method_not_allowed, conflict, precondition_failed, too_large, unsupported_media, too_many_requests, internal, unavailable"`
	RequestID string         `json:"request_id,omitempty" doc:"The id of the request, as in the server's log"`
	Errors    []ProblemField `json:"errors,omitempty" doc:"One for each refused field"`
	Missing   []string       `json:"missing_privileges,omitempty" doc:"With the code missing_privileges: which ones"`

	RetryAfter time.Duration `json:"-"` // from the Retry-After header; 0: there is none
}

// ProblemField says which part of a request was refused and why.
type ProblemField struct {
	Location string `json:"location" doc:"The part of the request, such as body.name"`
	Message  string `json:"message" doc:"What is wrong with it"`
}

// The codes of problems. They are stable; titles and details are for people.
const (
	CodeInvalid           = "invalid"            // 422: a field is refused
	CodeMalformed         = "malformed"          // 400: the request can't be read
	CodeUnauthenticated   = "unauthenticated"    // 401
	CodeForbidden         = "forbidden"          // 403: a rule forbids it
	CodeMissingPrivileges = "missing_privileges" // 403: Missing names them
	CodeNotFound          = "not_found"          // 404: not in the caller's organization, or nowhere
	CodeMethodNotAllowed  = "method_not_allowed" // 405
	// 409: a name is taken, a limit is reached, or it is the last
	// Administrator.
	CodeConflict           = "conflict"
	CodePreconditionFailed = "precondition_failed" // 412: it was changed meanwhile; get it again
	CodeTooLarge           = "too_large"           // 413
	CodeUnsupportedMedia   = "unsupported_media"   // 415
	CodeTooMany            = "too_many_requests"   // 429
	CodeInternal           = "internal"            // 500
	CodeUnavailable        = "unavailable"         // 503: a database is unavailable; nothing was changed
)

const problemType = "urn:svcauth:problem:"

var problemKinds = map[string]struct {
	status int
	title  string
}{
	CodeInvalid:            {422, "Invalid value"},
	CodeMalformed:          {400, "Malformed request"},
	CodeUnauthenticated:    {401, "Not authenticated"},
	CodeForbidden:          {403, "Not allowed"},
	CodeMissingPrivileges:  {403, "Missing privileges"},
	CodeNotFound:           {404, "Not found"},
	CodeMethodNotAllowed:   {405, "Method not allowed"},
	CodeConflict:           {409, "Conflict"},
	CodePreconditionFailed: {412, "Changed meanwhile"},
	CodeTooLarge:           {413, "Body too large"},
	CodeUnsupportedMedia:   {415, "Unsupported media type"},
	CodeTooMany:            {429, "Too many requests"},
	CodeInternal:           {500, "Internal error"},
	CodeUnavailable:        {503, "Temporarily unavailable"},
}

// NewProblem returns a problem with one of the codes above. The detail is
// formatted as by fmt.Sprintf.
func NewProblem(code, format string, args ...any) *Problem {
	kind, known := problemKinds[code]
	if !known {
		code, kind = CodeInternal, problemKinds[CodeInternal]
	}
	return &Problem{
		Type:   problemType + code,
		Title:  kind.title,
		Status: kind.status,
		Code:   code,
		Detail: fmt.Sprintf(format, args...),
	}
}

// InvalidField returns a problem with code [CodeInvalid] about one field, such
// as "body.name".
func InvalidField(location, format string, args ...any) *Problem {
	p := NewProblem(CodeInvalid, format, args...)
	p.Errors = []ProblemField{{Location: location, Message: p.Detail}}
	return p
}

// LocationStrict is where a problem tells of what would only be warned of
// without strict.
const LocationStrict = "body.strict"

// Warned returns the problem of a request that is strict, of which there is
// something to warn. before begins its detail.
func Warned(before string, warnings []string) *Problem {
	p := NewProblem(CodeInvalid, "%s", before+" "+strings.Join(warnings, " "))
	for _, text := range warnings {
		p.Errors = append(p.Errors, ProblemField{Location: LocationStrict, Message: text})
	}
	return p
}

// Warnings returns what a request that is strict was refused for, or nothing.
func (p *Problem) Warnings() (texts []string) {
	for _, e := range p.Errors {
		if e.Location == LocationStrict {
			texts = append(texts, e.Message)
		}
	}
	return texts
}

// Error returns the detail.
func (p *Problem) Error() string { return p.Detail }
