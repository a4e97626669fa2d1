package docs_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// theirs are the values of settings that mean something only to the program or
// library that they are for.
var theirs = []string{"SASL_SSL", "OAUTHBEARER", "oidc", "AuthorizationHeader", "${SVCAUTH_CLIENT_SECRET}"}

// facts is what the server says of itself, with the pages' issuer as its own.
type facts struct{ values, privileges, audiences []string }

func factsOf(t *testing.T) facts {
	t.Helper()
	s := svctest.New(t, svctest.Options{})
	account := s.Account("reader", "clusters:view")
	token := strings.Split(s.Token(account.ID, account.ClientSecret, ""), ".")
	var f facts
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case string:
			f.values = append(f.values, strings.ReplaceAll(v, s.Issuer, "https://auth.example.com"))
		case []any:
			for _, one := range v {
				collect(one)
			}
		case map[string]any:
			for name, one := range v {
				collect(one)
				f.values = append(f.values, name) // of a claim, too
			}
		}
	}
	collect(s.Get("/.well-known/oauth-authorization-server", "").JSON)
	for _, part := range token[:2] {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		require.NoError(t, err)
		var members map[string]any
		require.NoError(t, json.Unmarshal(raw, &members))
		collect(members)
	}
	for p, err := range svcauth.All(t.Context(), s.Admin().Privileges, svcauth.ListOptions{}) {
		require.NoError(t, err)
		f.privileges, f.audiences = append(f.privileges, p.Name), append(f.audiences, p.API)
	}
	return f
}

var scopeToken = regexp.MustCompile(`^[a-z_]+:[a-z_]+$`)

// check returns an error for a value that the server does not know.
func (f facts) check(value string) error {
	ok := slices.Contains(f.values, value) || slices.Contains(theirs, value)
	switch {
	case scopeToken.MatchString(value):
		ok = slices.Contains(f.privileges, value)
	case strings.HasPrefix(value, "https://api."):
		ok = slices.Contains(f.audiences, value)
	case strings.HasPrefix(value, svcauth.PrefixServiceAccount+"_"):
		ok = svcauth.ValidClientID(value)
	}
	if !ok {
		return fmt.Errorf("nothing of the server is called %q", value)
	}
	return nil
}

var quotedCell = regexp.MustCompile("`([^`]+)`")

// TestTheSettingsOfThePages: of what can't be run here the pages have tables of
// settings. Their values are the server's own words.
func TestTheSettingsOfThePages(t *testing.T) {
	f := factsOf(t)
	count := 0
	for _, page := range []string{"clients.md", "protect.md"} {
		raw, err := os.ReadFile(page)
		require.NoError(t, err)
		within := false
		for line := range strings.Lines(string(raw)) {
			within = within && strings.HasPrefix(line, "|") || line == "| setting | value | what goes wrong |\n"
			cells := strings.Split(strings.Trim(line, "|\n "), " | ")
			if !within || len(cells) < 2 {
				continue
			}
			for _, value := range quotedCell.FindAllStringSubmatch(cells[1], -1) {
				require.NoError(t, f.check(value[1]), "%s: %s", page, line)
				count++
			}
		}
	}
	require.Greater(t, count, 30)
	for _, wrong := range []string{
		"https://auth.example.com/oauth/token", "https://auth.example.com/", "clusters:look", "sa_1",
		"client_secret_jwt", "https://api.example", "JWT",
	} {
		require.Error(t, f.check(wrong), "the check must be able to fail: %s", wrong)
	}
}

// TestTheConfigurationOfTheCollector parses what clients.md shows, and knows
// all of its keys.
func TestTheConfigurationOfTheCollector(t *testing.T) {
	var shown struct {
		Extensions struct {
			Client struct {
				TokenURL         string               `yaml:"token_url"`
				ClientIDFile     string               `yaml:"client_id_file"`
				ClientSecretFile string               `yaml:"client_secret_file"`
				Scopes           []string             `yaml:"scopes"`
				EndpointParams   map[string]string    `yaml:"endpoint_params"`
				TLS              map[string]yaml.Node `yaml:"tls"`
			} `yaml:"oauth2client"`
		} `yaml:"extensions"`
		Exporters struct {
			HTTP struct {
				Endpoint string            `yaml:"endpoint"`
				Auth     map[string]string `yaml:"auth"`
			} `yaml:"otlphttp"`
		} `yaml:"exporters"`
		Service struct {
			Extensions []string `yaml:"extensions"`
		} `yaml:"service"`
	}
	text := ""
	for _, s := range snippets(t, "clients.md") {
		if strings.HasPrefix(s.text, "extensions:\n  oauth2client:") {
			text = s.text
		}
	}
	strict := yaml.NewDecoder(strings.NewReader(text))
	strict.KnownFields(true)
	require.NoError(t, strict.Decode(&shown))
	f, client := factsOf(t), shown.Extensions.Client
	for _, value := range append(client.Scopes, client.TokenURL, client.EndpointParams["resource"],
		shown.Exporters.HTTP.Endpoint) {
		require.NoError(t, f.check(value))
	}
	require.Len(t, client.EndpointParams, 1)
	require.Equal(t, map[string]string{"authenticator": "oauth2client"}, shown.Exporters.HTTP.Auth)
	require.Equal(t, []string{"oauth2client"}, shown.Service.Extensions)
}

// TestTheConfigurationOfEnvoy parses deploy/validating/envoy/envoy.yaml. What it
// says of tokens is what the server says.
func TestTheConfigurationOfEnvoy(t *testing.T) {
	raw, err := os.ReadFile("../validating/envoy/envoy.yaml")
	require.NoError(t, err)
	var node yaml.Node
	require.NoError(t, yaml.Unmarshal(raw, &node))
	var file any
	require.NoError(t, node.Decode(&file), "a key that comes twice")
	found := map[string][]string{}
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, one := range v {
				walk(name, one)
			}
		case []any:
			for _, one := range v {
				walk(key, one)
			}
		default:
			found[key] = append(found[key], fmt.Sprint(v))
		}
	}
	walk("", file)
	f := factsOf(t)
	for _, key := range []string{"issuer", "uri", "audiences"} {
		require.Len(t, found[key], 1, key)
		require.NoError(t, f.check(found[key][0]), key)
	}
	require.ElementsMatch(t, []string{"at+jwt", "ES256", "auth.example.com"}, found["exact"])
	for _, value := range []string{"at+jwt", "ES256"} {
		require.NoError(t, f.check(value))
	}
	scope := regexp.MustCompile("^(?:" + found["regex"][0] + ")$") // Envoy matches the whole text
	for text, carries := range map[string]bool{"clusters:view": true, "a:b clusters:view c:d": true,
		"clusters:viewer": false, "a:clusters:view": false, "": false} {
		require.Equal(t, carries, scope.MatchString(text), text)
	}
}

// TestWhatEnvoyHandsOn sends the header field that Envoy writes with the
// settings of mtls.md, in the form that its documentation gives, and what it
// would write with one of them less.
func TestWhatEnvoyHandsOn(t *testing.T) {
	var shown struct {
		Forward string          `yaml:"forward_client_cert_details"`
		Details map[string]bool `yaml:"set_current_client_cert_details"`
	}
	text := ""
	for _, s := range snippets(t, "mtls.md") {
		if strings.HasPrefix(s.text, "forward_client_cert_details") {
			text = s.text
		}
	}
	strict := yaml.NewDecoder(strings.NewReader(text))
	strict.KnownFields(true)
	require.NoError(t, strict.Decode(&shown))
	require.Equal(t, "SANITIZE_SET", shown.Forward, "else what callers send gets through")
	authority := certtest.New(t, "clients")
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_TRUSTED_PROXIES=127.0.0.1",
		"SVCAUTH_TLS_MTLS_URL=https://localhost:1", "SVCAUTH_TLS_CLIENT_CA_FILE=" + authority.File(t),
		"SVCAUTH_TLS_CLIENT_CERT_HEADER=X-Forwarded-Client-Cert", "SVCAUTH_TLS_CLIENT_CERT_FORMAT=xfcc"}})
	issued := authority.Issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"deployer.example"} })
	account := s.Account("deployer", "clusters:view")
	_, err := s.App.Access.CreateCertificate(s.System(), account.ID, svcauth.NewCertificate{SANDNS: "deployer.example"})
	require.NoError(t, err)
	escaped := strings.ReplaceAll(url.QueryEscape(string(certtest.PEM(issued.Leaf))), "+", "%20")
	ask := func(details map[string]bool) int {
		sum := sha256.Sum256(issued.Leaf.Raw)
		field := "Hash=" + hex.EncodeToString(sum[:])
		for _, one := range []struct{ setting, key string }{{"cert", "Cert"}, {"chain", "Chain"}} {
			if details[one.setting] {
				field += ";" + one.key + `="` + escaped + `"`
			}
		}
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {account.ID}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/oauth2/token",
			strings.NewReader(form.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Forwarded-Client-Cert", field)
		return s.Do(req).Status
	}
	require.Equal(t, http.StatusOK, ask(shown.Details))
	delete(shown.Details, "cert")
	require.NotEqual(t, http.StatusOK, ask(shown.Details))
}
