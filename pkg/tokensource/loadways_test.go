package tokensource

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const waysProfiles = `
[key]
url = https://profile.example
client_id = sa_profile
private_key_file = client.key
private_key_id = k1
assertion_audience = https://a.example

[file]
url = https://profile.example
assertion_file = ~/token
assertion_type = jwt-spiffe

[cert]
url = https://profile.example
client_id = sa_profile
cert_file = /tls.crt
key_file = tls.key

[id]
url = https://profile.example
client_id = sa_profile

[two]
url = https://profile.example
client_id = sa_profile
client_secret = hidden
private_key_file = client.key
`

// onActions are what GitHub sets for a job that may have a token.
var onActions = []string{"ACTIONS_ID_TOKEN_REQUEST_URL", "https://g.example", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
	"hidden", "GITHUB_ACTIONS", "true"}

// TestEachWayComesFromEachSource is the one table of ways: the same names as
// options, as variables and in a profile.
func TestEachWayComesFromEachSource(t *testing.T) {
	for name, c := range map[string]struct {
		options LoadOptions
		env     []string
		want    Config
		from    string // of the credential
	}{
		"options: key": {
			LoadOptions{ClientID: "a", PrivateKeyFile: "f", PrivateKeyID: "k", AssertionAudience: "x"}, environment,
			Config{ClientID: "a", PrivateKeyFile: "f", PrivateKeyID: "k", AssertionAudience: "x"},
			"option private_key_file",
		},
		"options: assertion file": {
			LoadOptions{AssertionFile: "f", AssertionType: "jwt-spiffe"}, environment,
			Config{AssertionFile: "f", AssertionType: "jwt-spiffe"}, "option assertion_file",
		},
		"options: assertion variable": {
			LoadOptions{ClientID: "a", AssertionEnv: "V"}, environment,
			Config{ClientID: "a", AssertionEnv: "V"}, "option assertion_env",
		},
		"options: platform": {
			LoadOptions{ClientID: "a", AssertionFrom: "github-actions", AssertionAudience: "x"}, environment,
			Config{ClientID: "a", AssertionFrom: GitHubActions, AssertionAudience: "x"}, "option assertion_from",
		},
		"options: certificate": {
			LoadOptions{ClientID: "a", CertFile: "c", KeyFile: "k"}, environment,
			Config{ClientID: "a", CertFile: "c", KeyFile: "k"}, "option cert_file",
		},
		"environment: key": {
			LoadOptions{},
			[]string{"SVCAUTH_CLIENT_ID", "a", "SVCAUTH_PRIVATE_KEY_FILE", "/f", "SVCAUTH_PRIVATE_KEY_ID", "k"},
			Config{ClientID: "a", PrivateKeyFile: "/f", PrivateKeyID: "k"}, "environment SVCAUTH_PRIVATE_KEY_FILE",
		},
		"environment: assertion file without an id": {
			LoadOptions{}, []string{"SVCAUTH_ASSERTION_FILE", "/f"}, Config{AssertionFile: "/f"},
			"environment SVCAUTH_ASSERTION_FILE",
		},
		"environment: certificate": {
			LoadOptions{}, []string{"SVCAUTH_CLIENT_ID", "a", "SVCAUTH_CERT_FILE", "c", "SVCAUTH_KEY_FILE", "k"},
			Config{ClientID: "a", CertFile: "c", KeyFile: "k"}, "environment SVCAUTH_CERT_FILE",
		},
		"environment before the platform": {
			LoadOptions{}, append([]string{"SVCAUTH_CLIENT_ID", "a", "SVCAUTH_CLIENT_SECRET", "s"}, onActions...),
			Config{ClientID: "a", ClientSecret: "s"}, "environment SVCAUTH_CLIENT_SECRET",
		},
		"GitHub, id among the options": {
			LoadOptions{ClientID: "a"}, append([]string{"SVCAUTH_PRIVATE_KEY_FILE", "/f"}, onActions...),
			Config{ClientID: "a", AssertionFrom: GitHubActions}, "environment ACTIONS_ID_TOKEN_REQUEST_URL",
		},
		"GitHub, id in the environment": {
			LoadOptions{}, append([]string{"SVCAUTH_CLIENT_ID", "a", "TFC_WORKLOAD_IDENTITY_TOKEN", "t"}, onActions...),
			Config{ClientID: "a", AssertionFrom: GitHubActions}, "environment ACTIONS_ID_TOKEN_REQUEST_URL",
		},
		"GitHub, by the audience alone": {
			LoadOptions{}, append([]string{"SVCAUTH_ASSERTION_AUDIENCE", "https://a.example/o/org_x"}, onActions...),
			Config{AssertionFrom: GitHubActions, AssertionAudience: "https://a.example/o/org_x"},
			"environment ACTIONS_ID_TOKEN_REQUEST_URL",
		},
		"HCP Terraform, id in the environment": {
			LoadOptions{}, []string{"SVCAUTH_CLIENT_ID", "a", "TFC_WORKLOAD_IDENTITY_TOKEN", "t"},
			Config{ClientID: "a", AssertionFrom: HCPTerraform}, "environment TFC_WORKLOAD_IDENTITY_TOKEN",
		},
		"HCP Terraform, by the tag alone": {
			LoadOptions{}, []string{"TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH", "t"},
			Config{AssertionFrom: HCPTerraform}, "environment TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH",
		},
		"profile: key": {
			LoadOptions{Profile: "key"}, environment, Config{ClientID: "sa_profile",
				PrivateKeyFile: "HOME/.config/svcauth/client.key", PrivateKeyID: "k1",
				AssertionAudience: "https://a.example"}, `profile "key" in HOME/.config/svcauth/credentials`,
		},
		"profile: assertion": {
			LoadOptions{Profile: "file"}, environment, Config{AssertionFile: "HOME/token", AssertionType: "jwt-spiffe"},
			`profile "file" in HOME/.config/svcauth/credentials`,
		},
		"profile: certificate": {
			LoadOptions{Profile: "cert"}, environment, Config{ClientID: "sa_profile", CertFile: "/tls.crt",
				KeyFile: "HOME/.config/svcauth/tls.key"}, `profile "cert" in HOME/.config/svcauth/credentials`,
		},
		"profile: id, and the platform's token": {
			LoadOptions{Profile: "id"}, onActions, Config{ClientID: "sa_profile", AssertionFrom: GitHubActions},
			"environment ACTIONS_ID_TOKEN_REQUEST_URL",
		},
	} {
		t.Run(name, func(t *testing.T) {
			home, getenv := at(t, waysProfiles, 0o600, c.env...)
			c.options.Getenv = getenv
			if c.options.Profile == "" {
				c.options.URL = "https://profile.example"
			}
			config, from, err := Load(c.options)
			require.NoError(t, err)
			values := c.want.values()
			for key, value := range values {
				values[key] = inHome(home, value)
			}
			values["url"] = "https://profile.example"
			require.Equal(t, values, config.values())
			require.Equal(t, inHome(home, c.from), from.Credential)
			require.True(t, c.options.HasCredential())
		})
	}
}

// inHome writes a path as it is in a test's home.
func inHome(home, text string) string {
	before, after, ok := strings.Cut(text, "HOME")
	if !ok {
		return text
	}
	return before + filepath.Clean(home) + after
}

func TestTwoWaysInOneSourceAreSaid(t *testing.T) {
	for want, c := range map[string]struct {
		options LoadOptions
		env     []string
	}{
		"both option client_secret and option private_key_file are set; set one of them only": {
			options: LoadOptions{ClientID: "a", ClientSecret: "hidden", PrivateKeyFile: "f"},
		},
		"both environment SVCAUTH_ASSERTION_FILE and environment SVCAUTH_CERT_FILE are set": {
			env: []string{"SVCAUTH_CLIENT_ID", "a", "SVCAUTH_ASSERTION_FILE", "f", "SVCAUTH_CERT_FILE", "c"},
		},
		`both client_secret of profile "two" in HOME/.config/svcauth/credentials and private_key_file of profile "two"`: {
			options: LoadOptions{Profile: "two"},
		},
		"environment SVCAUTH_CERT_FILE is set, but environment SVCAUTH_KEY_FILE is not; set both": {
			env: []string{"SVCAUTH_CLIENT_ID", "a", "SVCAUTH_CERT_FILE", "c"},
		},
		"environment SVCAUTH_PRIVATE_KEY_ID is of no use with environment SVCAUTH_CLIENT_SECRET; it goes with " +
			"environment SVCAUTH_PRIVATE_KEY_FILE": {
			env: append([]string{"SVCAUTH_PRIVATE_KEY_ID", "k"}, environment...),
		},
		"option assertion_audience is of no use with option assertion_file; it goes with option private_key_file or " +
			"option assertion_from": {
			options: LoadOptions{AssertionFile: "f", AssertionAudience: "x"},
		},
		"environment gives a private key but no client_id; all of a credential must come from one source, so set " +
			"environment SVCAUTH_CLIENT_ID too": {
			env: []string{"SVCAUTH_PRIVATE_KEY_FILE", "f"},
		},
		"options gives a certificate but no client_id": {options: LoadOptions{CertFile: "c", KeyFile: "k"}},
		"or the job needs 'permissions: id-token: write' in GitHub Actions": {
			env: []string{"SVCAUTH_CLIENT_ID", "a", "GITHUB_ACTIONS", "true"},
		},
		"or the workspace needs the variable TFC_WORKLOAD_IDENTITY_AUDIENCE_SVCAUTH in HCP Terraform": {
			env: []string{"SVCAUTH_CLIENT_ID", "a", "TFC_RUN_ID", "run-1"},
		},
		`client_id of profile "id" in HOME/.config/svcauth/credentials is set, but neither a secret nor anything else ` +
			`that proves who asks; all of a credential must come from one source, so set one of these too: ` +
			`client_secret, client_secret_file, private_key_file, assertion_file, assertion_env, assertion_from, or ` +
			`cert_file with key_file`: {options: LoadOptions{Profile: "id"}},
		"option assertion_from is neither github-actions nor hcp-terraform": {
			options: LoadOptions{AssertionFrom: "hidden"},
		},
		"environment SVCAUTH_ASSERTION_TYPE is neither jwt-bearer nor jwt-spiffe": {
			env: []string{"SVCAUTH_ASSERTION_FILE", "f", "SVCAUTH_ASSERTION_TYPE", "saml"},
		},
		"environment SVCAUTH_PRIVATE_KEY_FILE holds what belongs into the file; expected the path of the file": {
			env: []string{"SVCAUTH_PRIVATE_KEY_FILE", "-----BEGIN PRIVATE KEY-----\nhidden"},
		},
		"option assertion_env is not the name of an environment variable": {
			options: LoadOptions{AssertionEnv: "eyJoaWRkZW4.hidden.x"},
		},
		"environment SVCAUTH_ASSERTION_AUDIENCE is of no use in HCP Terraform": {
			env: []string{"SVCAUTH_CLIENT_ID", "a", "SVCAUTH_ASSERTION_AUDIENCE", "x",
				"TFC_WORKLOAD_IDENTITY_TOKEN", "t"},
		},
		"environment SVCAUTH_ASSERTION_TYPE is of no use with": {
			env: append([]string{"SVCAUTH_CLIENT_ID", "a", "SVCAUTH_ASSERTION_TYPE", "jwt-bearer"}, onActions...),
		},
	} {
		t.Run(want, func(t *testing.T) {
			var home string
			home, c.options.Getenv = at(t, waysProfiles, 0o600, c.env...)
			c.options.URL = "https://a.example"
			_, _, err := Load(c.options)
			require.ErrorContains(t, err, inHome(home, want))
			require.NotContains(t, err.Error(), "hidden")
		})
	}
}

func TestHasCredential(t *testing.T) {
	for _, c := range []struct {
		options LoadOptions
		env     []string
		want    bool
	}{
		{LoadOptions{URL: "https://a.example", CAFile: "f"}, onActions, false},
		{LoadOptions{}, []string{"SVCAUTH_URL", "u", "TFC_WORKLOAD_IDENTITY_TOKEN", "t"}, false},
		{LoadOptions{KeyFile: "k"}, nil, true},
		{LoadOptions{ConfigFile: "c"}, nil, true},
		{LoadOptions{}, []string{"SVCAUTH_PROFILE", "p"}, true},
		{LoadOptions{}, []string{"SVCAUTH_ASSERTION_ENV", "V"}, true},
		{LoadOptions{}, []string{"TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH", "t"}, true},
	} {
		_, c.options.Getenv = at(t, "", 0, c.env...)
		require.Equal(t, c.want, c.options.HasCredential(), c)
	}
}

// What a test gives in the place of the environment is where an assertion is
// looked for too.
func TestLoadedAssertionEnvIsOfTheSameEnvironment(t *testing.T) {
	e := newEndpoint(t)
	token := issued(t, inAnHour(), nil)
	e.proves = onlyAssertion(token, e.id, "jwt-bearer")
	_, getenv := at(t, "", 0, "SVCAUTH_URL", e.URL, "SVCAUTH_CLIENT_ID", e.id, "SVCAUTH_ASSERTION_ENV", "MINE",
		"MINE", token)
	config, _, err := Load(LoadOptions{Getenv: getenv})
	require.NoError(t, err)
	config.HTTPClient = e.Client()
	s, err := New(config)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Token(soon(t))
	require.NoError(t, err)
}
