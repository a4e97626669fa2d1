package svcauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
)

// ClientConfig says which server a [Client] calls, and how. URL and HTTPClient
// are required; all else has a default.
type ClientConfig struct {
	// URL is the server's issuer, such as "https://auth.example.com". It may
	// have a path; the API lies below it at /v1. It must begin with https://,
	// unless the host is a loopback one.
	URL string
	// HTTPClient sends the requests and authenticates them: its Transport adds
	// "Authorization: Bearer …" to each, as tokensource.Source.Transport does.
	// It is copied. Redirects are refused, whatever its CheckRedirect says.
	// Leave its Timeout 0: it would bound all attempts of a call together.
	HTTPClient *http.Client
	// UserAgent is the header of each request; empty: "svcauth-client".
	UserAgent string
	// Timeout bounds one attempt; the context bounds the whole call. 0 means 30
	// seconds. The time that a call waits for enforcement is added to it.
	Timeout time.Duration
	// MaxRetries is how often a request that may succeed later is sent again. 0
	// means 3 times, a negative number never.
	MaxRetries int
}

// Client calls the management API of one server as the principal that its
// HTTPClient authenticates. Make one with [NewClient]. It is safe for concurrent
// use, and there is nothing to close.
//
// Each method is one call of the API. What they have in common:
//
// Errors of the server are of type [*Problem] (use errors.As): [Problem.Code]
// says which, [Problem.Detail] what to do. Every other error (no connection, the
// context's end, no token) wraps its cause and names the call. No error's text
// holds a secret or a token.
//
// GET, PUT and DELETE are sent again after 429, 502, 503, 504 and a broken
// connection. POST and PATCH are sent again only if the server cannot have acted
// on them: after 429, after a 503 with [CodeUnavailable], and if no connection
// came about. Retry-After is honoured up to 30 seconds; beyond that the call
// fails at once and [Problem.RetryAfter] says how long to wait. A DELETE that is
// sent again after a broken connection, and then finds nothing, returns no error.
//
// What a Get returns has a Version, which an Update sends as If-Match. The update
// fails with [CodePreconditionFailed] if somebody else changed the thing in
// between; version 0 overwrites. Pages of a list carry no versions.
//
// A method that may take something away from live tokens has a last parameter
// wait: for how long the server may hold its answer until every connected
// resource server enforces the change, at most [MaxWait]. More is refused with
// [CodeInvalid]. With 0 nobody waits, and the answer has no [Enforcement].
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

// NewClient returns a Client for a checked configuration. It sends nothing. The
// error says which field is wrong and what was expected.
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
