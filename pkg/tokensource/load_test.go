package tokensource

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// at creates a home with a profile file of the given content and mode, and an
// environment with the given variables ("name", "value" …).
func at(t *testing.T, content string, mode os.FileMode, variables ...string) (home string, getenv func(string) string) {
	t.Helper()
	home = t.TempDir()
	if content != "" {
		path := filepath.Join(home, ".config", "svcauth", "credentials")
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		require.NoError(t, os.Chmod(path, mode))
	}
	environment := map[string]string{"HOME": home}
	for i := 0; i < len(variables); i += 2 {
		environment[variables[i]] = variables[i+1]
	}
	return home, func(name string) string { return environment[name] }
}

const profiles = `# mine
[default]
url = https://profile.example
client_id = profile-id
client_secret = "profile-secret"

[work]
 url=https://work.example
client_id	=	work-id
; the secret lies apart
client_secret_file = work.secret
`

var environment = []string{"SVCAUTH_URL", "https://env.example", "SVCAUTH_CLIENT_ID", "env-id",
	"SVCAUTH_CLIENT_SECRET", "env-secret"}

func TestLoadOrder(t *testing.T) {
	type want struct{ url, id, secret, file, urlFrom, idFrom, secretFrom string }
	path := "/.config/svcauth/credentials"
	for name, c := range map[string]struct {
		options LoadOptions
		env     []string
		want    want
	}{
		"profile alone": {LoadOptions{}, nil, want{"https://profile.example", "profile-id", "profile-secret", "",
			`profile "default" in HOME` + path, `profile "default" in HOME` + path,
			`profile "default" in HOME` + path}},
		"environment before profile": {LoadOptions{}, environment,
			want{"https://env.example", "env-id", "env-secret", "", "environment SVCAUTH_URL",
				"environment SVCAUTH_CLIENT_ID", "environment SVCAUTH_CLIENT_SECRET"}},
		"options before environment": {LoadOptions{URL: "https://a.example", ClientID: "a-id",
			ClientSecretFile: "a-file"}, environment,
			want{"https://a.example", "a-id", "", "a-file", "option url", "option client_id",
				"option client_secret_file"}},
		"url and credential may have different sources": {LoadOptions{URL: "https://a.example"},
			[]string{"SVCAUTH_CLIENT_ID", "env-id", "SVCAUTH_CLIENT_SECRET_FILE", "/env-file"},
			want{"https://a.example", "env-id", "", "/env-file", "option url", "environment SVCAUTH_CLIENT_ID",
				"environment SVCAUTH_CLIENT_SECRET_FILE"}},
		"profile named in the environment": {LoadOptions{}, []string{"SVCAUTH_PROFILE", "work"},
			want{"https://work.example", "work-id", "", "HOME/.config/svcauth/work.secret",
				`profile "work" in HOME` + path, `profile "work" in HOME` + path, `profile "work" in HOME` + path}},
		"environment before the profile that it names": {LoadOptions{},
			append([]string{"SVCAUTH_PROFILE", "work"}, environment...),
			want{"https://env.example", "env-id", "env-secret", "", "environment SVCAUTH_URL",
				"environment SVCAUTH_CLIENT_ID", "environment SVCAUTH_CLIENT_SECRET"}},
		"a profile that was chosen before the environment": {LoadOptions{Profile: "work"}, environment,
			want{"https://work.example", "work-id", "", "HOME/.config/svcauth/work.secret",
				`profile "work" in HOME` + path, `profile "work" in HOME` + path, `profile "work" in HOME` + path}},
	} {
		t.Run(name, func(t *testing.T) {
			home, getenv := at(t, profiles, 0o600, c.env...)
			c.options.Getenv = getenv
			config, from, err := Load(c.options)
			require.NoError(t, err)
			got := want{config.Issuer, config.ClientID, config.ClientSecret.Reveal(), config.ClientSecretFile, from.URL,
				from.ClientID, from.Credential}
			for _, text := range []*string{&c.want.file, &c.want.urlFrom, &c.want.idFrom, &c.want.secretFrom} {
				*text = strings.ReplaceAll(*text, "HOME", home)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestHalvesOfTwoCredentialsAreNone(t *testing.T) {
	for want, c := range map[string]struct {
		options LoadOptions
		env     []string
	}{
		"option client_id is set, but neither a secret nor anything else that proves who asks; all of a " +
			"credential must come from one source, so set one of these too: option client_secret, option " +
			"client_secret_file, option private_key_file, option assertion_file, option assertion_env, option " +
			"assertion_from, or option cert_file with option key_file": {
			LoadOptions{ClientID: "a-id"}, environment,
		},
		"options gives a secret but no client_id; all of a credential must come from one source, so set " +
			"option client_id too": {
			LoadOptions{ClientSecret: "hidden-1"}, environment,
		},
		"environment SVCAUTH_CLIENT_ID is set, but neither a secret nor": {
			LoadOptions{}, environment[:4],
		},
		"environment gives a secret but no client_id": {
			LoadOptions{}, []string{"SVCAUTH_CLIENT_SECRET", "hidden-2"},
		},
		"both environment SVCAUTH_CLIENT_SECRET and environment SVCAUTH_CLIENT_SECRET_FILE are set": {
			LoadOptions{}, append([]string{"SVCAUTH_CLIENT_SECRET_FILE", "f"}, environment...),
		},
		"both option client_secret and option client_secret_file are set; set one of them only": {
			LoadOptions{ClientID: "a", ClientSecret: "hidden-3", ClientSecretFile: "f"}, nil,
		},
	} {
		_, c.options.Getenv = at(t, profiles, 0o600, c.env...)
		_, _, err := Load(c.options)
		require.ErrorContains(t, err, want)
		require.NotRegexp(t, "hidden|-secret\\b", err.Error())
	}
}

func TestNothingFoundSaysWhatWasTried(t *testing.T) {
	home, getenv := at(t, "", 0)
	_, _, err := Load(LoadOptions{Getenv: getenv})
	require.EqualError(t, err,
		`svcauth configuration: url, credential not set; tried options (does not have it), environment (does not have it), profile "default" in `+
			home+
			`/.config/svcauth/credentials (there is no such file); set SVCAUTH_URL, SVCAUTH_CLIENT_ID with SVCAUTH_CLIENT_SECRET or SVCAUTH_PRIVATE_KEY_FILE, or write a profile`)
	_, getenv = at(t, "[other]\nurl = x\n", 0o600, environment[2:]...)
	_, from, err := Load(LoadOptions{Getenv: getenv})
	require.ErrorContains(t, err,
		"url not set (credential from environment SVCAUTH_CLIENT_SECRET); tried ")
	require.ErrorContains(t, err, "(there is no such profile)")
	require.NotContains(t, err.Error(), "env-secret")
	require.Equal(t, "environment SVCAUTH_CLIENT_SECRET", from.Credential)
}

// A variable that was set from a command's output, or by a file in a
// container's environment, may end in a line break: a secret with one is wrong
// everywhere.
func TestLineBreakInACredentialIsSaid(t *testing.T) {
	for _, name := range []string{"SVCAUTH_CLIENT_SECRET", "SVCAUTH_CLIENT_ID"} {
		given := map[string]string{"SVCAUTH_URL": "https://auth.example.com", "SVCAUTH_CLIENT_ID": "sa_x",
			"SVCAUTH_CLIENT_SECRET": "hidden"}
		given[name] += "\n"
		_, _, err := Load(LoadOptions{Getenv: func(name string) string { return given[name] }})
		require.ErrorContains(t, err, "environment "+name+" holds a line break")
		require.NotContains(t, err.Error(), "hidden")
	}
}

func TestProfileFileIsPrivate(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o660, 0o601, 0o610, 0o777} {
		home, getenv := at(t, profiles, mode)
		_, _, err := Load(LoadOptions{Getenv: getenv})
		path := filepath.Join(home, ".config", "svcauth", "credentials")
		require.EqualError(t, err,
			fmt.Sprintf("svcauth configuration: the profile file %s holds secrets, but others may use it too "+
				"(mode %04o, expected 0600); run: chmod 600 %s", path, mode, path))
		// Who needs no file is not troubled by it, unless it was asked for.
		_, getenv = at(t, profiles, mode, environment...)
		_, _, err = Load(LoadOptions{Getenv: getenv})
		require.NoError(t, err)
		_, _, err = Load(LoadOptions{Getenv: getenv, Profile: "default"})
		require.ErrorContains(t, err, "chmod 600")
	}
	_, getenv := at(t, profiles, 0o400)
	_, _, err := Load(LoadOptions{Getenv: getenv})
	require.NoError(t, err)
}

func TestNamedProfileMustBeThere(t *testing.T) {
	home, getenv := at(t, profiles, 0o600)
	_, _, err := Load(LoadOptions{Getenv: getenv, Profile: "absent"})
	require.ErrorContains(t, err, `there is no profile "absent" in `+home)
	_, _, err = Load(LoadOptions{Getenv: getenv, ConfigFile: "~/absent"})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, home+"/absent")
	_, _, err = Load(LoadOptions{Getenv: getenv, ConfigFile: home})
	require.ErrorContains(t, err, "is not a regular file")
	elsewhere := filepath.Join(t.TempDir(), "mine")
	require.NoError(t,
		os.WriteFile(elsewhere,
			[]byte("\ufeff[default]\r\nurl = https://e.example\r\nclient_id=i\r\nclient_secret=a=b;#c\r\n"), 0o600))
	_, getenv = at(t, profiles, 0o600, "SVCAUTH_CONFIG_FILE", elsewhere)
	config, _, err := Load(LoadOptions{Getenv: getenv})
	require.NoError(t, err)
	require.Equal(t, "a=b;#c", config.ClientSecret.Reveal())
	require.Equal(t, "https://e.example", config.Issuer)
}

func TestProfileFaultsNameTheLineAndNoValue(t *testing.T) {
	for content, want := range map[string]string{
		"url = hidden\n":  "line 1: expected [name of a profile] before the first key",
		"[a]\n\nhidden\n": "line 3: expected key = value",
		"[a]\nsecret = hidden\n": "line 2: unknown key; known are url, client_id, client_secret, " +
			"client_secret_file, private_key_file, private_key_id, assertion_file, assertion_env, assertion_from, " +
			"assertion_type, assertion_audience, cert_file, key_file, ca_file",
		"[a]\nurl = hidden\nurl = hidden\n": "line 3: url is there twice in this profile",
		"[a]\n[b]\n[a]\n":                   `line 3: profile "a" is there twice`,
		"[a\n":                              "line 1: expected [name of a profile]",
		"[]\n":                              "line 1: expected [name of a profile]",
		"[a]\nhidden = client_secret\n":     "line 2: unknown key",
		"[a]\nclient_secret = x\nclient_secret: hid": "line 3: expected key = value",
	} {
		_, getenv := at(t, content, 0o600)
		_, _, err := Load(LoadOptions{Getenv: getenv})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hid")
	}
}

func FuzzParseProfiles(f *testing.F) {
	f.Add(profiles)
	f.Add("[a]\nurl = \"")
	f.Fuzz(func(t *testing.T, content string) {
		parsed, err := parseProfiles(content)
		if (parsed == nil) == (err == nil) {
			t.Fatal("neither profiles nor an error, or both")
		}
	})
}

func TestLoadedCAFileIsTrustedByTokensAndAPI(t *testing.T) {
	e := newEndpoint(t)
	home, getenv := at(t, fmt.Sprintf("[default]\nurl = %s\nclient_id = %s\nclient_secret = %s\nca_file = ca.pem\n",
		e.URL, e.id, e.secret), 0o600)
	ca := filepath.Join(home, ".config", "svcauth", "ca.pem")
	_, _, err := Load(LoadOptions{Getenv: getenv})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(ca, []byte("no certificate"), 0o644))
	_, _, err = Load(LoadOptions{Getenv: getenv})
	require.ErrorContains(t, err, "ca.pem holds no certificate in PEM form")
	require.NoError(t,
		os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate().Raw}), 0o644))
	config, from, err := Load(LoadOptions{Getenv: getenv})
	require.NoError(t, err)
	require.Equal(t, `profile "default" in `+home+"/.config/svcauth/credentials", from.CAFile)
	s, err := New(config)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Token(soon(t))
	require.NoError(t, err)
}

func TestFromEnvironment(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for i := 0; i < len(environment); i += 2 {
		t.Setenv(environment[i], environment[i+1])
	}
	config, err := FromEnvironment()
	require.NoError(t, err)
	require.Equal(t,
		Config{Issuer: "https://env.example", ClientID: "env-id", ClientSecret: svcauth.Secret("env-secret")}, config)
}

func TestAddressOnlyNeedsNoCredential(t *testing.T) {
	_, getenv := at(t, "", 0, "SVCAUTH_URL", "https://env.example", "SVCAUTH_CLIENT_ID", "half")
	config, from, err := Load(LoadOptions{AddressOnly: true, Getenv: getenv})
	require.NoError(t, err)
	require.Equal(t, "https://env.example", config.Issuer)
	require.Equal(t, "environment SVCAUTH_URL", from.URL)
	_, _, err = Load(LoadOptions{Getenv: getenv})
	require.ErrorContains(t, err, "SVCAUTH_CLIENT_SECRET")

	_, getenv = at(t, "", 0)
	_, _, err = Load(LoadOptions{AddressOnly: true, Getenv: getenv})
	require.ErrorContains(t, err, "url not set")
	require.NotContains(t, err.Error(), "client_id")
}

func TestOptionsAreCalledWhatTheirUserCallsThem(t *testing.T) {
	_, getenv := at(t, "", 0)
	flag := func(field string) string { return "--" + field }
	_, from, err := Load(LoadOptions{URL: "https://a.example", OptionName: flag, Getenv: getenv})
	require.Equal(t, "--url", from.URL)
	require.ErrorContains(t, err, "url from --url")
	_, _, err = Load(LoadOptions{OptionName: flag, Getenv: getenv})
	require.ErrorContains(t, err, "set SVCAUTH_URL or --url")
}
