package tokensource

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config configures a [Source]. Required are Issuer or TokenURL, and ClientID
// with one of the ways to authenticate: ClientSecret, ClientSecretFile,
// PrivateKeyFile, AssertionFile, AssertionEnv, AssertionFrom, or CertFile with
// KeyFile. Files are read again for each request to the server, so that what
// was rotated is used without a restart.
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

	// ClientID may be empty with an assertion whose audience names the client's
	// organization, as svcauth takes it: <issuer>/o/<organization's id>.
	ClientID     string
	ClientSecret svcauth.Secret // in any form, as other servers' secrets differ
	// ClientSecretFile is a file with the secret on one line and nothing else.
	ClientSecretFile string

	// PrivateKeyFile is a private key with which an assertion is signed for
	// each request (private_key_jwt: RFC 7523, RFC 10070): PEM (PKCS #8, PKCS
	// #1, SEC 1) or a JWK; RSA of 2048 to 8192 bits, P-256, P-384, P-521 or
	// Ed25519. An RSA key signs with RS256, unless its JWK names another
	// algorithm.
	PrivateKeyFile string
	// PrivateKeyID is the kid of the assertion's header. Default: the one in
	// the JWK, or else the key's thumbprint (RFC 7638).
	PrivateKeyID string

	// AssertionFile is a file with a token that another issuer wrote for this
	// program (RFC 7523 §2.2): Kubernetes' projected service account token, or
	// a JWT-SVID of SPIFFE.
	AssertionFile string
	// AssertionEnv is the name of an environment variable with such a token.
	AssertionEnv string
	// AssertionFrom is the platform to get such a token from: [GitHubActions]
	// or [HCPTerraform].
	AssertionFrom string
	// AssertionType is [JWTBearer] by default, or [JWTSPIFFE].
	AssertionType string
	// AssertionAudience is the audience that is written into an assertion of
	// PrivateKeyFile and asked of GitHubActions. Default: Issuer. It is for
	// servers that take another one.
	AssertionAudience string

	// CertFile and KeyFile are a certificate, with its chain, and its private
	// key in PEM form, for mutual TLS (RFC 8705). If the metadata has
	// mtls_endpoint_aliases, requests go there. [Source.Transport] presents the
	// certificate to the API too. A Transport of HTTPClient that is not an
	// [http.Transport] must have a [CertificateTransport] below it.
	CertFile, KeyFile string

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

	// DPoP binds the tokens to a key that the Source makes for itself and keeps
	// in memory (RFC 9449): whoever gets hold of a token can't use it. Requests
	// then go through [Source.Transport], which adds the proofs; the API must
	// take them. The server must bind tokens, too.
	DPoP bool
	// Fresh asks for a token that no other caller has. A server may be set up to
	// give the same token again to a client that asks often (token.reuse of
	// svcauth); whoever revokes that ends it for all who have it.
	Fresh bool

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

	getenv func(string) string // as of LoadOptions; nil: os.Getenv
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
	for _, of := range []func() error{c.checkPresence, c.checkMethod, c.checkRequest, c.checkAddress} {
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
	return nil
}

func (c Config) checkMethod() error {
	_, err := c.method()
	return err
}

// audience returns the audience of an assertion: the issuer alone (RFC 10070).
func (c Config) audience() string { return cmp.Or(c.AssertionAudience, c.Issuer) }

// lookUp returns an environment variable.
func (c Config) lookUp(name string) string {
	if c.getenv != nil {
		return c.getenv(name)
	}
	return os.Getenv(name)
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
		if err := httpx.CheckResource(resource); err != nil {
			return fmt.Errorf("a resource %w", err)
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
