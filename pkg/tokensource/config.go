package tokensource

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config configures a [Source]. Required are Issuer or TokenURL, ClientID, and
// either ClientSecret or ClientSecretFile.
type Config struct {
	// Issuer is the server's issuer URL, exactly as its metadata states it,
	// such as "https://auth.example.com". The first request fetches the
	// metadata (RFC 8414, or else OpenID Connect Discovery) to find the token
	// endpoint. Without metadata nothing is guessed, and no secret is sent
	// anywhere.
	Issuer string
	// TokenURL is the token endpoint. If it is set, no metadata is fetched for
	// it, and Issuer is not used to find it. Issuer and TokenURL must begin
	// with https://, unless the host is a loopback address.
	TokenURL string

	ClientID     string
	ClientSecret svcauth.Secret // in any form, as other servers' secrets differ
	// ClientSecretFile is a file with the secret on one line and nothing else.
	// It is read again for each request to the server.
	ClientSecretFile string

	// Scopes are the privileges to ask for. Default: all that the client may
	// have.
	Scopes []string
	// Resource limits the token to these APIs: absolute URIs without fragment
	// (RFC 8707).
	Resource []string
	// Audience is the "audience" parameter, for servers that take it instead of
	// "resource". It has at most one entry, since RFC 6749 §3.2 forbids
	// repeated parameters.
	Audience []string

	// AuthStyle is [Basic] by default.
	AuthStyle AuthStyle
	// HTTPClient sends the requests to the server. Default: a new client.
	// Redirects are never followed, whatever its CheckRedirect says.
	HTTPClient *http.Client
	// UserAgent is sent as the User-Agent header. Default:
	// "svcauth-tokensource".
	UserAgent string
	// Timeout bounds one attempt; the context bounds the whole call. Default:
	// 10 seconds.
	Timeout time.Duration
	// MaxRetries is how often a request that may succeed later is sent again.
	// Default: 3 times; negative: never.
	MaxRetries int
	// Clock returns the time by which tokens expire. Default: time.Now. It is
	// for tests; timers use real time all the same.
	Clock func() time.Time
}

const (
	defaultUserAgent  = "svcauth-tokensource"
	defaultTimeout    = 10 * time.Second
	defaultMaxRetries = 3
)

// withDefaults checks c and fills in what was left out.
func (c Config) withDefaults() (Config, error) {
	if err := c.check(); err != nil {
		return c, fmt.Errorf("tokensource: %w", err)
	}
	if c.UserAgent == "" {
		c.UserAgent = defaultUserAgent
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.MaxRetries == 0 {
		c.MaxRetries = defaultMaxRetries
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c, nil
}

// check returns the first fault.
func (c Config) check() error {
	for _, of := range []func() error{c.checkPresence, c.checkSecret, c.checkRequest, c.checkAddress} {
		if err := of(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) checkPresence() error {
	if c.Issuer == "" && c.TokenURL == "" {
		return errors.New("neither Issuer nor TokenURL is set; set Issuer to the server's " +
			"address, such as https://auth.example.com")
	}
	if c.ClientID == "" {
		return errors.New("ClientID is empty; set it to the client_id of a service account or an application key")
	}
	return nil
}

// checkRequest checks what is asked for, and how often.
func (c Config) checkRequest() error {
	if c.Timeout < 0 {
		return errors.New("the Timeout is negative; leave it 0 for 10 seconds")
	}
	if len(c.Audience) > 1 {
		return errors.New("the Audience has more than one entry, and a server refuses a " +
			"repeated audience (RFC 6749 §3.2); use Resource, which may be repeated")
	}
	for _, scope := range c.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\r\n\"\\") {
			return fmt.Errorf("scope %q is not one privilege: give each its own entry in Scopes", scope)
		}
	}
	for _, resource := range c.Resource {
		if u, err := url.Parse(resource); err != nil || !u.IsAbs() || u.Fragment != "" {
			return fmt.Errorf("resource %q is not an absolute URI without fragment (RFC 8707 §2)", resource)
		}
	}
	return nil
}

// checkAddress checks where the secret would be sent to.
func (c Config) checkAddress() error {
	if c.TokenURL != "" {
		if err := httpx.CheckEndpoint("", c.TokenURL); err != nil {
			return fmt.Errorf("TokenURL %w", err)
		}
		return nil
	}
	if err := httpx.CheckIssuer(c.Issuer); err != nil {
		return fmt.Errorf("the Issuer %w", err)
	}
	return nil
}
