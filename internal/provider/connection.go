package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// connection is the way to the server, made at its first use. Everything in one
// provider block shares it, and with it one token.
type connection struct {
	options   tokensource.LoadOptions
	unknown   []string // attributes whose values this plan does not know yet
	retries   int      // as the two packages want it: 0 is their default, negative is never
	headers   map[string]string
	userAgent string

	once   sync.Once
	config tokensource.Config
	from   tokensource.Provenance
	client *svcauth.Client
	tokens *tokensource.Source // the client's
	err    error

	blind    atomic.Bool  // see foresee
	askAgain atomic.Int64 // when the server has said to, as Unix time in nanoseconds; see foresee

	mu        sync.Mutex
	failed    bool                    // see failOnce
	opened    map[string]*openedToken // by ephemeral access tokens, see accesstoken.go
	protected map[string]bool         // what has been read and not planned yet, see protection.go
}

func newConnection(ctx context.Context, m providerModel, userAgent string, d *diag.Diagnostics) *connection {
	c := &connection{
		userAgent: userAgent,
		opened:    map[string]*openedToken{},
		protected: map[string]bool{},
		options: tokensource.LoadOptions{
			URL:               m.URL.ValueString(),
			CAFile:            m.CAFile.ValueString(),
			ClientID:          m.ClientID.ValueString(),
			ClientSecret:      svcauth.Secret(m.ClientSecret.ValueString()),
			ClientSecretFile:  m.ClientSecretFile.ValueString(),
			PrivateKeyFile:    m.PrivateKeyFile.ValueString(),
			PrivateKeyID:      m.PrivateKeyID.ValueString(),
			AssertionFile:     m.AssertionFile.ValueString(),
			AssertionEnv:      m.AssertionEnv.ValueString(),
			AssertionFrom:     m.AssertionFrom.ValueString(),
			AssertionType:     m.AssertionType.ValueString(),
			AssertionAudience: m.AssertionAudience.ValueString(),
			CertFile:          m.CertFile.ValueString(),
			KeyFile:           m.KeyFile.ValueString(),
			Profile:           m.Profile.ValueString(),
			ConfigFile:        m.ConfigFile.ValueString(),
			OptionName:        attributeName,
		},
	}
	checkKnown := func(name string, v attr.Value) {
		if v.IsUnknown() {
			c.unknown = append(c.unknown, name)
		}
	}
	checkKnown("url", m.URL)
	checkKnown("client_id", m.ClientID)
	checkKnown("client_secret", m.ClientSecret)
	checkKnown("client_secret_file", m.ClientSecretFile)
	checkKnown("private_key_file", m.PrivateKeyFile)
	checkKnown("private_key_id", m.PrivateKeyID)
	checkKnown("assertion_file", m.AssertionFile)
	checkKnown("assertion_env", m.AssertionEnv)
	checkKnown("assertion_from", m.AssertionFrom)
	checkKnown("assertion_type", m.AssertionType)
	checkKnown("assertion_audience", m.AssertionAudience)
	checkKnown("cert_file", m.CertFile)
	checkKnown("key_file", m.KeyFile)
	checkKnown("profile", m.Profile)
	checkKnown("config_file", m.ConfigFile)
	checkKnown("ca_file", m.CAFile)
	checkKnown("dpop", m.DPoP)
	checkKnown("max_retries", m.MaxRetries)
	checkKnown("http_headers", m.HTTPHeaders)
	if v := m.DPoP; !v.IsNull() && !v.IsUnknown() {
		c.options.DPoP = strconv.FormatBool(v.ValueBool())
	}
	if v := m.MaxRetries; !v.IsNull() && !v.IsUnknown() {
		c.retries = cmp.Or(int(v.ValueInt64()), -1)
	}
	if !m.HTTPHeaders.IsNull() && !m.HTTPHeaders.IsUnknown() {
		headers := map[string]types.String{}
		d.Append(m.HTTPHeaders.ElementsAs(ctx, &headers, false)...)
		c.headers = map[string]string{}
		for name, value := range headers {
			if value.IsUnknown() {
				c.unknown = append(c.unknown, "http_headers")
			}
			c.headers[name] = value.ValueString()
		}
	}
	return c
}

// attributeName returns what messages call the provider's attribute for a field
// of a profile, or with "" all attributes together.
func attributeName(field string) string {
	if field == "" {
		return "attributes"
	}
	return "attribute " + field
}

// errUnknown is the error of an operation that needs the server while the
// provider's own configuration is unknown.
var errUnknown = errors.New("not known before apply")

// use returns the client, which is made at the first call.
func (c *connection) use() (*svcauth.Client, error) {
	c.once.Do(c.open)
	return c.client, c.err
}

func (c *connection) open() {
	if len(c.unknown) > 0 {
		c.err = fmt.Errorf("the provider's %s: %w", strings.Join(c.unknown, ", "), errUnknown)
		return
	}
	c.config, c.from, c.err = tokensource.Load(c.options)
	if c.config.Issuer != "" { // jwks asks for no more than this
		c.config.HTTPClient = c.httpClient()
	}
	if c.err != nil {
		return
	}
	c.config.Fresh = true // it is revoked in the end
	c.config.UserAgent, c.config.MaxRetries = c.userAgent, c.retries
	if c.client, c.tokens, c.err = tokensource.NewClient(c.config); c.err != nil {
		c.err = fmt.Errorf("%w (%s)", c.err, c.origin())
	}
}

// httpClient returns an HTTP client that trusts ca_file and adds http_headers
// to requests to the server itself. It follows no redirect: the configuration
// alone decides where keys and credentials are sent.
func (c *connection) httpClient() *http.Client {
	client := &http.Client{}
	if c.config.HTTPClient != nil {
		*client = *c.config.HTTPClient
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if server, err := url.Parse(c.config.Issuer); err == nil && len(c.headers) > 0 {
		// What wraps a transport must have the certificate below it.
		if base, ok := client.Transport.(*http.Transport); ok && c.config.CertFile != "" {
			client.Transport = tokensource.CertificateTransport(base, c.config.CertFile, c.config.KeyFile)
		}
		client.Transport = headerTransport{c.headers, server.Scheme, server.Host, client.Transport}
	}
	return client
}

// headerTransport adds headers to the requests to one origin. If the metadata
// names an endpoint elsewhere, that one doesn't get them.
type headerTransport struct {
	headers      map[string]string
	scheme, host string
	base         http.RoundTripper
}

func (t headerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != t.scheme || req.URL.Host != t.host {
		return t.base.RoundTrip(req)
	}
	out := req.Clone(req.Context())
	for name, value := range t.headers {
		out.Header.Set(name, value)
	}
	return t.base.RoundTrip(out)
}

// userAgent returns what HashiCorp's own providers send, with this provider's
// name. It appends TF_APPEND_USER_AGENT, as they do.
func userAgent(version, terraform string) string {
	text := fmt.Sprintf("terraform-provider-svcauth/%s Terraform/%s (%s/%s)", cmp.Or(version, "dev"),
		cmp.Or(terraform, "unknown"), runtime.GOOS, runtime.GOARCH)
	if more := strings.TrimSpace(os.Getenv("TF_APPEND_USER_AGENT")); more != "" {
		text += " " + more
	}
	return text
}

// origin says where each part of the credential came from, for error messages.
func (c *connection) origin() string {
	id := "no client_id"
	if c.from.ClientID != "" {
		id = "client_id from " + c.from.ClientID
	}
	return fmt.Sprintf("url from %s, %s, what proves it from %s", c.from.URL, id, c.from.Credential)
}
