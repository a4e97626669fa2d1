package svcauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/timespan"
)

// maxRetryAfter is the longest Retry-After that a call waits for.
const maxRetryAfter = 30 * time.Second

// clientBackoff is how long to wait before a call is made again.
var clientBackoff = httpx.Backoff{First: 250 * time.Millisecond, Most: 5 * time.Second}

// request is one call of the API.
type request struct {
	method  string
	path    []string // after /v1, one entry a segment, not escaped
	query   url.Values
	body    any           // nil: none
	version int64         // for If-Match; 0: none
	wait    time.Duration // for enforcement; 0: none
}

// name returns the call as messages show it. It has no query, which may hold
// what somebody searched for.
func (r *request) name() string { return r.method + " /v1/" + strings.Join(r.path, "/") }

// url returns the address of the call. It refuses a segment that would change
// which path is meant: with an empty id, DELETE …/{id} would name the whole
// list.
func (r *request) url(base string) (string, error) {
	var b strings.Builder
	b.WriteString(base + "/v1")
	for _, segment := range r.path {
		if segment == "" || segment == "." || segment == ".." {
			return "", fmt.Errorf("%s: an id is empty or no id; give the id of an existing thing", r.name())
		}
		b.WriteString("/" + url.PathEscape(segment))
	}
	query := url.Values{}
	for name, values := range r.query {
		if len(values) > 0 && values[0] != "" {
			query[name] = values
		}
	}
	if r.wait > 0 {
		query.Set("wait", r.wait.String())
	}
	if len(query) > 0 {
		b.WriteString("?" + query.Encode())
	}
	return b.String(), nil
}

// failure is an attempt that did not succeed, and whether to try again.
type failure struct {
	err        error
	retryAfter time.Duration
	passing    bool // another attempt may succeed
	untouched  bool // the server provably did nothing
}

// repeatable reports whether sending a request with method twice does the same
// as sending it once (RFC 9110 §9.2.2).
func repeatable(method string) bool {
	return method == http.MethodGet || method == http.MethodPut || method == http.MethodDelete
}

// do makes the call, again if that is safe and may help. It decodes the
// answer's body into out, a pointer, unless out is nil. It returns the version
// from the ETag, or 0 if there is none.
func (c *Client) do(ctx context.Context, r request, out any) (version int64, err error) {
	address, err := r.url(c.base)
	if err != nil {
		return 0, err
	}
	body, err := r.encodeBody()
	if err != nil {
		return 0, err
	}
	maybeDone := false
	for sent := 1; ; sent++ {
		version, failed := c.attempt(ctx, &r, address, body, out)
		if failed == nil {
			return version, nil
		}
		if r.method == http.MethodDelete && maybeDone && hasStatus(failed.err, http.StatusNotFound) {
			return 0, nil // an earlier attempt deleted it
		}
		maybeDone = maybeDone || !failed.untouched
		if sent > c.maxRetries || !failed.retryable(r.method) {
			return 0, failed.err
		}
		if cause := sleep(ctx, clientBackoff.Wait(sent, failed.retryAfter)); cause != nil {
			return 0, fmt.Errorf("%s: gave up after %d attempts (%w): %w", r.name(), sent, cause, failed.err)
		}
	}
}

// encodeBody returns the body as JSON, or nil if there is none.
func (r *request) encodeBody() ([]byte, error) {
	if r.body == nil {
		return nil, nil
	}
	body, err := json.Marshal(r.body)
	if err != nil {
		return nil, fmt.Errorf("%s: the body can't be written as JSON: %w", r.name(), err)
	}
	return body, nil
}

// retryable reports whether sending a request with method again may help and is
// safe.
func (f *failure) retryable(method string) bool {
	return f.passing && (f.untouched || repeatable(method)) && f.retryAfter <= maxRetryAfter
}

// sleep waits for d. If ctx ends first, it returns the cause.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// attempt sends the request once.
func (c *Client) attempt(ctx context.Context, r *request, address string, body []byte, out any) (int64, *failure) {
	bounded, cancel := context.WithTimeout(ctx, c.timeout+r.wait)
	defer cancel()
	// How far the request got tells a connection error from an error of the
	// caller's transport, which may have no token and has retries of its own.
	var asked, connected bool
	traced := httptrace.WithClientTrace(bounded, &httptrace.ClientTrace{
		GetConn: func(string) { asked = true },
		GotConn: func(httptrace.GotConnInfo) { connected = true },
	})
	req, err := http.NewRequestWithContext(traced, r.method, address, bytes.NewReader(body))
	if err != nil {
		return 0, &failure{err: fmt.Errorf("%s: %w", r.name(), err)}
	}
	c.setHeaders(req, r)
	broken := func(err error) *failure {
		for outer := (*url.Error)(nil); errors.As(err, &outer); { // its text shows the query
			err = outer.Err
		}
		if bounded.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("no answer within %s: %w", timespan.Text(c.timeout+r.wait), err)
		}
		return &failure{
			err:       fmt.Errorf("%s: %w", r.name(), err),
			passing:   asked && ctx.Err() == nil && !lasting(err),
			untouched: !connected,
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, broken(err)
	}
	defer func() { _ = res.Body.Close() }()
	content, err := readAnswer(res)
	if err != nil {
		if errors.Is(err, errAnswerTooLong) {
			return 0, &failure{err: fmt.Errorf("%s: %w", r.name(), err)}
		}
		return 0, broken(fmt.Errorf("the answer broke off: %w", err))
	}
	return c.accept(r, res, content, out)
}

func (c *Client) setHeaders(req *http.Request, r *request) {
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", c.userAgent)
	if r.body == nil {
		req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.version > 0 {
		req.Header.Set("If-Match", `"`+strconv.FormatInt(r.version, 10)+`"`)
	}
}
