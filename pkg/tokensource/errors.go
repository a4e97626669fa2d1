package tokensource

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/timespan"
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
	nonce     bool   // the answer has a nonce for the next proof (RFC 9449 §8)
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
		fmt.Fprintf(&b, "; the server asks to wait %s", timespan.Text(e.RetryAfter.Round(time.Second)))
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " (after %d attempts)", e.Attempts)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }
