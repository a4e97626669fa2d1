package svcauth

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/untrusted"
)

const (
	maxClientAnswer  = 16 << 20 // bytes: a page of 200 audit events fits many times
	maxClientProblem = 1 << 20  // bytes
	// in members, elements, objects and arrays: three times as many as a page
	// of 200 items with 100 roles each
	maxClientValues = 1 << 18
	maxProblemText  = 4096 // bytes of a detail
)

var errAnswerTooLong = errors.New("the answer is longer than any of this API; check URL")

// readAnswer reads an answer's body and refuses one that is too big, since
// anything may answer at a wrong address.
func readAnswer(res *http.Response) ([]byte, error) {
	limit := int64(maxClientProblem)
	if res.StatusCode/100 == 2 {
		limit = maxClientAnswer
	}
	content, err := httpx.ReadAll(res.Body, limit)
	if errors.As(err, new(*httpx.TooLongError)) || err == nil && values(content) > maxClientValues {
		if res.StatusCode/100 != 2 {
			return nil, nil // too long for a problem: the status is all that can be said
		}
		err = errAnswerTooLong
	}
	return content, err
}

// values returns about how many values a JSON text has. Its length does not
// bound the memory that decoding takes: an array of empty objects takes a
// hundred times as much as Go values.
func values(content []byte) (n int) {
	quoted := false
	for at := 0; at < len(content); at++ {
		switch c := content[at]; {
		case quoted && c == '\\':
			at++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '{' || c == '['):
			n++
		}
	}
	return n
}

// accept decodes an answer's body into out, or returns the failure that the
// answer reports.
func (c *Client) accept(r *request, res *http.Response, content []byte, out any) (int64, *failure) {
	if res.StatusCode/100 != 2 {
		p := c.problem(r, res, content)
		f := &failure{err: p, retryAfter: p.RetryAfter}
		switch res.StatusCode {
		case http.StatusTooManyRequests:
			f.passing, f.untouched = true, true
		case http.StatusServiceUnavailable:
			f.passing, f.untouched = true, p.Type == problemType+CodeUnavailable // a proxy's 503 proves nothing
		case http.StatusBadGateway, http.StatusGatewayTimeout:
			f.passing = true
		}
		return 0, f
	}
	version := versionOf(res.Header.Get("ETag"))
	if out == nil || res.StatusCode == http.StatusNoContent || len(content) == 0 {
		return version, nil
	}
	if err := json.Unmarshal(content, out); err != nil {
		// The decoder's error may show a value, and the value may be a secret.
		return 0, &failure{
			err: fmt.Errorf(
				"%s: the answer (%d, %d bytes) is not the JSON of this call; check that URL "+
					"is an svcauth server of this version",
				r.name(),
				res.StatusCode,
				len(content),
			),
		}
	}
	return version, nil
}

// versionOf reads the version from an ETag. A proxy that compresses the answer
// may have changed the tag: nginx makes W/"7" of "7", and Apache "7-gzip". If
// the version were lost, an update would overwrite what somebody else changed.
func versionOf(tag string) int64 {
	text, _, _ := strings.Cut(strings.Trim(strings.TrimPrefix(tag, "W/"), `"`), "-")
	version, _ := strconv.ParseInt(text, 10, 64)
	return version
}

// problem reads an error answer. If it isn't a problem document of this API,
// only its status is used: the body may be any proxy's page.
func (c *Client) problem(r *request, res *http.Response, content []byte) *Problem {
	p := new(Problem)
	mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if mediaType != "application/problem+json" || json.Unmarshal(content, p) != nil || p.Detail == "" && p.Title == "" {
		p = &Problem{
			Code:   codeOfStatus(res.StatusCode),
			Title:  http.StatusText(res.StatusCode),
			Detail: c.undocumented(r, res),
		}
	}
	p.Status = res.StatusCode
	if p.Code == "" {
		p.Code = codeOfStatus(res.StatusCode)
	}
	if p.Detail == "" {
		p.Detail = p.Title
	}
	p.Title, p.Detail = oneLine(p.Title), oneLine(p.Detail)
	for i := range p.Errors {
		p.Errors[i].Location, p.Errors[i].Message = oneLine(p.Errors[i].Location), oneLine(p.Errors[i].Message)
	}
	p.RetryAfter = httpx.RetryAfter(res.Header, time.Now())
	return p
}

func (c *Client) undocumented(r *request, res *http.Response) string {
	status := strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, http.StatusText(res.StatusCode)))
	switch {
	case res.StatusCode/100 == 3:
		return fmt.Sprintf(
			"%s was answered with a redirect (%s), which is not followed, so that the token "+
				"goes nowhere else; configure the server's final address instead of %s",
			r.name(),
			status,
			c.base,
		)
	case res.StatusCode == http.StatusNotFound:
		return fmt.Sprintf(
			"%s was answered with %s and no problem document: there is no svcauth API at %s/v1; check the address",
			r.name(),
			status,
			c.base,
		)
	default:
		return fmt.Sprintf(
			"%s was answered with %s and no problem document: something between here and "+
				"svcauth may have answered; check %s",
			r.name(),
			status,
			c.base,
		)
	}
}

// codeOfStatus returns the code that fits the status of an answer without one.
func codeOfStatus(status int) string {
	switch status {
	case http.StatusForbidden: // two codes have it
		return CodeForbidden
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return CodeUnavailable
	}
	for code, kind := range problemKinds {
		if kind.status == status {
			return code
		}
	}
	if status/100 == 4 {
		return CodeMalformed
	}
	return CodeInternal
}

// oneLine makes text from outside safe for a terminal and a log. Line breaks
// become spaces.
func oneLine(text string) string {
	return untrusted.Cut(untrusted.Line(strings.Join(strings.Fields(text), " ")), maxProblemText)
}

func hasStatus(err error, status int) bool {
	p := (*Problem)(nil)
	return errors.As(err, &p) && p.Status == status
}

// lasting reports whether a connection failed for a reason that will be the
// same a second later.
func lasting(err error) bool {
	var certificate *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &plain)
}
