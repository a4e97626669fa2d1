package tokensource

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ErrClosed is the error of [Source.Token] after [Source.Close].
var ErrClosed = errors.New("tokensource: the source is closed")

// Error is a failure to get a token; use errors.As. Its text, its fields and
// the error that it wraps contain no secret and no token.
type Error struct {
	Status int // HTTP status of the answer; 0: there was none
	// Code is "error" of RFC 6749 §5.2, such as "invalid_client" or
	// "invalid_scope". It is empty if the answer has none.
	Code        string
	Description string        // "error_description", cut to 512 bytes
	RetryAfter  time.Duration // how long the server asked to wait; 0: it didn't
	Attempts    int           // how many requests were sent
	URL         string        // the address of the request, without its query
	Cause       error         // what went wrong, unless the server's answer says it

	retryable bool
	lead      string // empty: "no token from"
}

// Error returns one sentence: what was asked, what came back and what to do.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: ", cmp.Or(e.lead, "no token from"), e.URL)
	switch {
	case e.Status == 0 || e.Status == http.StatusOK:
	case e.Code != "":
		fmt.Fprintf(&b, "%d %s", e.Status, e.Code)
	default:
		b.WriteString(strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))))
	}
	if e.Description != "" {
		fmt.Fprintf(&b, ": %s", e.Description)
	}
	if e.Cause != nil {
		if !strings.HasSuffix(b.String(), ": ") {
			b.WriteString(": ")
		}
		b.WriteString(e.Cause.Error())
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; the server asks to wait %s", e.RetryAfter.Round(time.Second))
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " (after %d attempts)", e.Attempts)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// credential is the id and secret of one attempt.
type credential struct {
	id     string
	secret svcauth.Secret
}

// basic returns the value of the Authorization header. Each part is
// form-urlencoded (RFC 6749 §2.3.1), so that a colon or an umlaut survives.
func (c credential) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(
		url.QueryEscape(c.id)+":"+url.QueryEscape(c.secret.Reveal()),
	))
}

// scrub returns text from outside with every form redacted in which the secret
// is sent: a server may echo it, and a RoundTripper may print the request that
// failed.
func (c credential) scrub(text string) string {
	if c.secret == "" {
		return text
	}
	for _, form := range []string{
		strings.TrimPrefix(c.basic(), "Basic "),
		c.secret.Reveal(),
		url.QueryEscape(c.secret.Reveal()),
	} {
		text = strings.ReplaceAll(text, form, "[redacted]")
	}
	return text
}

// clean makes text from outside safe for one line of a log. Line breaks become
// spaces.
func (c credential) clean(text string, limit int) string {
	return untrusted.Cut(untrusted.Line(strings.Join(strings.Fields(c.scrub(text)), " ")), limit)
}

// cause makes an error of net/http safe to wrap. It drops the address, whose
// query may be confidential. If the error shows the secret, only its scrubbed
// text is kept.
func (c credential) cause(err error) error {
	var outer *url.Error
	for errors.As(err, &outer) {
		err = outer.Err
	}
	if text := err.Error(); c.scrub(text) != text {
		return errors.New(c.scrub(text))
	}
	return err
}
