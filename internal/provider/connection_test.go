package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// blockOf makes a provider block of what is given; everything else is null.
func blockOf(values map[string]types.String) providerModel {
	get := func(name string) types.String {
		if v, ok := values[name]; ok {
			return v
		}
		return types.StringNull()
	}
	return providerModel{
		URL:              get("url"),
		ClientID:         get("client_id"),
		ClientSecret:     get("client_secret"),
		ClientSecretFile: get("client_secret_file"),
		PrivateKeyFile:   get("private_key_file"),
		AssertionFile:    get("assertion_file"),
		AssertionEnv:     get("assertion_env"),
		CertFile:         get("cert_file"),
		KeyFile:          get("key_file"),
		Profile:          get("profile"),
		ConfigFile:       get("config_file"),
		CAFile:           get("ca_file"),
		MaxRetries:       types.Int64Null(),
		HTTPHeaders:      types.MapNull(types.StringType),
	}
}

func connectionOf(t *testing.T, values map[string]types.String, environment map[string]string) *connection {
	t.Helper()
	var d diag.Diagnostics
	c := newConnection(t.Context(), blockOf(values), "test", &d)
	require.False(t, d.HasError())
	c.options.Getenv = func(name string) string { return environment[name] }
	return c
}

// TestPrecedence checks the order: attribute, then environment, then profile. A
// profile that was chosen by attribute comes before the environment. A
// credential comes whole from one of them.
func TestPrecedence(t *testing.T) {
	attribute := svcauth.NewSecret()
	environment := svcauth.NewSecret()
	profile := svcauth.NewSecret()
	chosen := svcauth.NewSecret()
	dir := t.TempDir()
	file := filepath.Join(dir, "credentials")
	require.NoError(t,
		os.WriteFile(file,
			[]byte(fmt.Sprintf("[default]\nurl = https://profile.example\nclient_id = sa_profile\nclient_secret = "+
				"%s\n[prod]\nurl = https://prod.example\nclient_id = sa_prod\nclient_secret = %s\n",
				profile.Reveal(), chosen.Reveal())), 0o600))
	secretFile := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secretFile, []byte(environment.Reveal()), 0o600))
	text := types.StringValue
	allEnv := map[string]string{
		"SVCAUTH_URL":           "https://env.example",
		"SVCAUTH_CLIENT_ID":     "sa_env",
		"SVCAUTH_CLIENT_SECRET": environment.Reveal(),
		"SVCAUTH_CONFIG_FILE":   file,
	}
	without := func(env map[string]string, names ...string) map[string]string {
		rest := map[string]string{}
		for k, v := range env {
			rest[k] = v
		}
		for _, name := range names {
			delete(rest, name)
		}
		return rest
	}
	withEnv := func(env map[string]string, name, value string) map[string]string {
		rest := without(env)
		rest[name] = value
		return rest
	}
	allAttributes := map[string]types.String{
		"url":           text("https://attr.example"),
		"client_id":     text("sa_attr"),
		"client_secret": text(attribute.Reveal()),
	}
	for name, test := range map[string]struct {
		attributes map[string]types.String
		env        map[string]string
		url, id    string
		secret     svcauth.Secret
		failure    string // else; with what it must say
	}{
		"attributes before all": {
			attributes: allAttributes,
			env:        allEnv,
			url:        "https://attr.example",
			id:         "sa_attr",
			secret:     attribute,
		},
		"environment before the profile": {env: allEnv, url: "https://env.example", id: "sa_env", secret: environment},
		"the profile last": {
			env:    map[string]string{"SVCAUTH_CONFIG_FILE": file},
			url:    "https://profile.example",
			id:     "sa_profile",
			secret: profile,
		},
		"a chosen profile before the environment": {
			attributes: map[string]types.String{"profile": text("prod"), "config_file": text(file)},
			env:        allEnv,
			url:        "https://prod.example",
			id:         "sa_prod",
			secret:     chosen,
		},
		"a profile of the environment after its credential": {
			env:    withEnv(allEnv, "SVCAUTH_PROFILE", "prod"),
			url:    "https://env.example",
			id:     "sa_env",
			secret: environment,
		},
		"each field by itself": {
			attributes: map[string]types.String{"url": text("https://attr.example")},
			env:        allEnv,
			url:        "https://attr.example",
			id:         "sa_env",
			secret:     environment,
		},
		"an empty attribute is none": {
			attributes: map[string]types.String{"client_id": text("")},
			env:        allEnv,
			url:        "https://env.example",
			id:         "sa_env",
			secret:     environment,
		},
		"a secret from a file": {
			env: withEnv(without(allEnv, "SVCAUTH_CLIENT_SECRET"), "SVCAUTH_CLIENT_SECRET_FILE", secretFile),
			url: "https://env.example",
			id:  "sa_env",
		},
		"half a credential is not made whole by another source": {
			attributes: map[string]types.String{"client_id": text("sa_attr")},
			env:        allEnv,
			failure: "attribute client_id is set, but neither a secret nor anything else that proves who asks; " +
				"all of a credential must come from one source, so set one of these too: attribute client_secret, " +
				"attribute client_secret_file, attribute private_key_file",
		},
		"two ways among the attributes": {
			attributes: map[string]types.String{"client_id": text("sa_attr"), "assertion_file": text("f"),
				"cert_file": text("f")},
			env:     allEnv,
			failure: "both attribute assertion_file and attribute cert_file are set; set one of them only",
		},
		"a key that is not": {
			attributes: map[string]types.String{"client_id": text("sa_attr"), "private_key_file": text(file)},
			env:        allEnv,
			failure:    "holds no private key",
		},
		"the platform's token, whatever else there is": {
			attributes: map[string]types.String{"client_id": text("sa_attr")},
			env: withEnv(withEnv(allEnv, "ACTIONS_ID_TOKEN_REQUEST_URL", "https://actions.example"),
				"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
			url: "https://env.example",
			id:  "sa_attr",
		},
		"a secret without an id": {
			env:     without(allEnv, "SVCAUTH_CLIENT_ID"),
			failure: "environment gives a secret but no client_id",
		},
		"two secrets": {
			env:     withEnv(allEnv, "SVCAUTH_CLIENT_SECRET_FILE", secretFile),
			failure: "both environment SVCAUTH_CLIENT_SECRET and environment SVCAUTH_CLIENT_SECRET_FILE",
		},
		"nothing at all": {
			env:     map[string]string{"HOME": dir},
			failure: "tried attributes (does not have it), environment (does not have it), profile",
		},
		"a profile that is not": {
			attributes: map[string]types.String{"profile": text("nope"), "config_file": text(file)},
			failure:    `no profile "nope"`,
		},
		"an address that is not": {
			attributes: map[string]types.String{"url": text("http://auth.example.com")},
			env:        allEnv,
			failure:    "url from attribute url",
		},
		"a CA file that is not": {
			attributes: map[string]types.String{"ca_file": text(filepath.Join(dir, "none"))},
			env:        allEnv,
			failure:    "ca_file (from attribute ca_file)",
		},
		"an unknown attribute": {
			attributes: map[string]types.String{"client_secret": types.StringUnknown()},
			env:        allEnv,
			failure:    "the provider's client_secret: not known before apply",
		},
		"unknown, though env has it": {
			attributes: map[string]types.String{"url": types.StringUnknown(), "client_id": types.StringUnknown()},
			env:        allEnv,
			failure:    "the provider's url, client_id",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := connectionOf(t, test.attributes, test.env)
			client, err := c.use()
			if test.failure != "" {
				require.ErrorContains(t, err, test.failure)
				require.Nil(t, client)
				for _, secret := range []svcauth.Secret{attribute, environment, profile, chosen} {
					require.NotContains(t, c.explain(err), secret.Reveal())
				}
				return
			}
			require.NoError(t, err)
			require.Equal(t, []any{test.url, test.id, test.secret},
				[]any{c.config.Issuer, c.config.ClientID, c.config.ClientSecret})
		})
	}
}

// TestHeadersGoToTheServerOnly checks that headers for a proxy before the
// server go to no other host. The metadata may name an endpoint elsewhere.
func TestHeadersGoToTheServerOnly(t *testing.T) {
	var got http.Header
	base := roundTrip(func(r *http.Request) (*http.Response, error) {
		got = r.Header
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(""))}, nil
	})
	transport := headerTransport{map[string]string{"X-Key": "k"}, "https", "auth.example.com", base}
	for address, want := range map[string]string{
		"https://auth.example.com/v1/me":  "k",
		"https://other.example.com/token": "",
		"http://auth.example.com/":        "",
	} {
		req, err := http.NewRequest(http.MethodGet, address, nil)
		require.NoError(t, err)
		_, err = transport.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, want, got.Get("X-Key"), address)
		require.Empty(t, req.Header, "a request belongs to its sender")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestUserAgentNamesBothVersions(t *testing.T) {
	t.Setenv("TF_APPEND_USER_AGENT", "my-tool/2")
	require.Regexp(t, `^terraform-provider-svcauth/1\.0\.0 Terraform/1\.11\.4 \(\w+/\w+\) my-tool/2$`,
		userAgent("1.0.0", "1.11.4"))
}

// TestWhatAnErrorMeans checks that only what may have been done is looked for
// afterwards, and that only the server's own word removes a thing from the
// state.
func TestWhatAnErrorMeans(t *testing.T) {
	problem := func(code string) error { return fmt.Errorf("wrapped: %w", svcauth.NewProblem(code, "x")) }
	foreign := func(code string, status int) error { return &svcauth.Problem{Code: code, Status: status} }
	for name, test := range map[string]struct {
		err             error
		uncertain, gone bool
	}{
		"conflict":                    {err: problem(svcauth.CodeConflict)},
		"unavailable":                 {err: problem(svcauth.CodeUnavailable)},
		"internal":                    {err: problem(svcauth.CodeInternal), uncertain: true},
		"not found":                   {err: problem(svcauth.CodeNotFound), gone: true},
		"a proxy's 404":               {err: foreign(svcauth.CodeNotFound, 404)},
		"a proxy's 503":               {err: foreign(svcauth.CodeUnavailable, 503), uncertain: true},
		"a gateway's 504":             {err: foreign(svcauth.CodeUnavailable, 504), uncertain: true},
		"no token":                    {err: &tokensource.Error{Status: 401}},
		"not connected":               {err: &net.OpError{Op: "dial", Err: errors.New("refused")}},
		"broken off":                  {err: io.ErrUnexpectedEOF, uncertain: true},
		"the provider is not known":   {err: fmt.Errorf("%w", errUnknown)},
		"the caller's patience ended": {err: context.DeadlineExceeded, uncertain: true},
	} {
		require.Equal(t, []bool{test.uncertain, test.gone}, []bool{uncertain(test.err), gone(test.err)}, name)
	}
}

// TestCreationAfterALostAnswer checks that a creation whose answer was lost is
// repeated only after a search, and that it never takes another's thing for its
// own.
func TestCreationAfterALostAnswer(t *testing.T) {
	broken, taken := io.ErrUnexpectedEOF, svcauth.NewProblem(svcauth.CodeConflict, "taken")
	for name, test := range map[string]struct {
		creates   []error // of each attempt in turn
		found     bool
		look      error
		creations int
		recovered bool
		failure   string
	}{
		"at once":               {creates: []error{nil}, creations: 1},
		"refused":               {creates: []error{taken}, creations: 1, failure: "taken"},
		"lost and found":        {creates: []error{broken}, found: true, creations: 1, recovered: true},
		"lost and not made":     {creates: []error{broken, nil}, creations: 2},
		"made after the search": {creates: []error{broken, taken}, creations: 2, failure: "taken"},
		"lost again and again": {
			creates:   []error{broken, broken, broken},
			creations: 3,
			failure:   "was not made",
		},
		"lost, and the search fails too": {
			creates:   []error{broken},
			look:      errors.New("away"),
			creations: 1,
			failure:   "may have been made",
		},
	} {
		t.Run(name, func(t *testing.T) {
			made := 0
			_, recovered, err := creation[int]{what: "it",
				create: func(context.Context) (int, error) { made++; return 1, test.creates[made-1] },
				find:   func(context.Context) (int, bool, error) { return 1, test.found, test.look },
			}.run(t.Context())
			require.Equal(t, test.recovered, recovered)
			require.Equal(t, test.creations, made)
			if test.failure != "" {
				require.ErrorContains(t, err, test.failure)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestMomentKeepsWhatWasWritten(t *testing.T) {
	written := timetypes.NewRFC3339ValueMust("2099-01-01T02:00:00.0004+02:00")
	same, other := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 1, 1, 0, 0, 1, 0, time.UTC)
	require.Equal(t, written, moment(written, &same))
	require.Equal(t, "2099-01-01T00:00:01Z", moment(written, &other).ValueString())
	require.True(t, moment(written, nil).IsNull())
	require.Equal(t, "2099-01-01T00:00:00Z", moment(timetypes.NewRFC3339Null(), &same).ValueString())
}
