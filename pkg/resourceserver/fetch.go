package resourceserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/untrusted"
)

// fetcher makes calls that are bounded in time and size, are never redirected,
// and accept only the expected media type.
type fetcher struct {
	client  *http.Client
	timeout time.Duration
	own     *http.Transport // for Close; nil if the caller set HTTPClient
}

// newFetcher copies client. Redirects are refused, since the metadata says
// where keys come from and credentials go to. The client's own timeout is
// removed, since it would cut the stream of the feed; every other call has its
// own deadline.
func newFetcher(client *http.Client, timeout time.Duration) *fetcher {
	f := &fetcher{timeout: timeout}
	own := http.Client{}
	if client != nil {
		own = *client
	} else if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		f.own = transport.Clone()
		own.Transport = f.own
	}
	own.Timeout = 0
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	f.client = &own
	return f
}

// statusError is an answer with an unexpected status.
type statusError struct {
	url        string
	status     int
	said       string // the issuer's own words (RFC 6749 §5.2); may be empty
	retryAfter time.Duration
}

const maxSaid = 300 // bytes of the issuer's words

func newStatusError(url string, resp *http.Response) *statusError {
	e := &statusError{url: url, status: resp.StatusCode, retryAfter: httpx.RetryAfter(resp.Header, time.Now())}
	var body struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 10*maxSaid)).Decode(&body) == nil && body.Code != "" {
		e.said = untrusted.Quotable(body.Code+": "+body.Description, maxSaid)
	}
	return e
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("%s answered with status %d", e.url, e.status)
	if e.said != "" {
		text += " (" + e.said + ")"
	}
	return text
}

var errMediaType = errors.New("unexpected media type")

// answer is a body that was read completely.
type answer struct {
	body      []byte
	etag      string
	unchanged bool // 304
}

// get fetches url, only if it has changed if etag is not empty.
func (f *fetcher) get(ctx context.Context, url, etag string, limit int64, types ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", "application/json")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer drop(resp)
	if etag != "" && resp.StatusCode == http.StatusNotModified {
		return answer{unchanged: true}, nil
	}
	if err := expect(resp, url, types...); err != nil {
		return answer{}, err
	}
	body, err := httpx.ReadAll(resp.Body, limit)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", url, err)
	}
	return answer{body: body, etag: resp.Header.Get("ETag")}, nil
}

// expect returns an error unless the status is 200 and the media type is one of
// types.
func expect(resp *http.Response, url string, types ...string) error {
	if resp.StatusCode != http.StatusOK {
		return newStatusError(url, resp)
	}
	got, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if !slices.Contains(types, got) {
		return fmt.Errorf("%s: %w %q, expected %s", url, errMediaType, untrusted.Quotable(got, 60), types[0])
	}
	return nil
}

// drop closes a body. It first reads the little that may be left, so that the
// connection can be used again.
func drop(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4096)
	_ = resp.Body.Close()
}
