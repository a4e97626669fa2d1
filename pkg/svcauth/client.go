package svcauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
)

// ClientConfig configures a [Client]. URL and HTTPClient are required; every
// other field has a default.
type ClientConfig struct {
	// URL is the server's issuer URL, such as "https://auth.example.com". It
	// may have a path; the API is served below it at /v1. It must begin with
	// https://, unless the host is a loopback address.
	URL string
	// HTTPClient sends the requests and authenticates them: its Transport adds
	// "Authorization: Bearer …" to each request, as
	// tokensource.Source.Transport does. NewClient copies it. Redirects are
	// refused, whatever its CheckRedirect says. Leave its Timeout 0 and set the
	// field Timeout instead: HTTPClient's own would also cut off a call that
	// waits for enforcement.
	HTTPClient *http.Client
	// UserAgent is sent as the User-Agent header. Default: "svcauth-client".
	UserAgent string
	// Timeout bounds one attempt; the context bounds the whole call. The time
	// that a call waits for enforcement is added to it. Default: 30 seconds.
	Timeout time.Duration
	// MaxRetries is how often a request that may succeed later is sent again.
	// Default: 3 times; negative: never.
	MaxRetries int
}

// Client calls the management API of one server as the principal that its
// HTTPClient authenticates. Make one with [NewClient]. It is safe for
// concurrent use. There is nothing to close.
//
// Each method makes one call of the API. The rest of this comment holds for all
// of them.
//
// Errors: an error that the server returned is a [*Problem] (use errors.As).
// [Problem.Code] identifies it, and [Problem.Detail] says what to do. A
// method's comment lists the codes to expect from it. Every other error (no
// connection, a context that ended, no token) wraps its cause and names the
// call. No error's text contains a secret or a token.
//
// Retries: GET, PUT and DELETE are sent again after 429, 502, 503, 504 and a
// broken connection. POST and PATCH are sent again only if the server can't
// have acted on them: after 429, after a 503 with [CodeUnavailable], and if no
// connection was made. Retry-After is honoured up to 30 seconds. If the server
// asks for more, the call fails at once and [Problem.RetryAfter] has the time
// to wait. If a DELETE was cut off and its repetition finds nothing, the method
// returns no error.
//
// Versions: a thing that a method returns by its id has a Version, which an
// update sends as If-Match. The update fails with [CodePreconditionFailed] if
// somebody else changed the thing in between. Version 0 overwrites whatever is
// there. Items of a list have no Version.
//
// Waiting: a method that may revoke tokens has a last parameter wait. It is how
// long the server may hold its answer until every connected resource server
// enforces the revocation, at most [MaxWait]; more is refused with
// [CodeInvalid]. With 0 the server answers at once, and the answer has no
// [Enforcement].
type Client struct {
	base       string
	http       *http.Client
	userAgent  string
	timeout    time.Duration
	maxRetries int
}

const (
	defaultClientUserAgent  = "svcauth-client"
	defaultClientTimeout    = 30 * time.Second
	defaultClientMaxRetries = 3
)

// NewClient returns a Client for config. It sends nothing. If a field is wrong,
// the error names it and says what was expected.
func NewClient(config ClientConfig) (*Client, error) {
	if err := httpx.CheckIssuer(config.URL); err != nil {
		return nil, fmt.Errorf("svcauth client: URL %w", err)
	}
	if config.HTTPClient == nil {
		return nil, errors.New("svcauth client: HTTPClient is not set; give one whose " +
			"Transport adds the bearer token, such as tokensource.Source.Transport")
	}
	if config.Timeout < 0 {
		return nil, errors.New("svcauth client: Timeout is negative; leave it 0 for 30 seconds")
	}
	c := &Client{
		base:       strings.TrimRight(config.URL, "/"),
		http:       &http.Client{},
		userAgent:  config.UserAgent,
		timeout:    config.Timeout,
		maxRetries: config.MaxRetries,
	}
	*c.http = *config.HTTPClient
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.userAgent == "" {
		c.userAgent = defaultClientUserAgent
	}
	if c.timeout == 0 {
		c.timeout = defaultClientTimeout
	}
	if c.maxRetries == 0 {
		c.maxRetries = defaultClientMaxRetries
	}
	return c, nil
}
