package tokensource

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// LoadOptions are the settings that the program itself was given, such as the
// flags of a command. Leave empty what it was not given.
type LoadOptions struct {
	URL    string // the issuer
	CAFile string // PEM file of certificates to trust besides the system's
	DPoP   string // "true" or "false"; see Config

	// The credential, as in a [Config].
	ClientID          string
	ClientSecret      svcauth.Secret
	ClientSecretFile  string
	PrivateKeyFile    string
	PrivateKeyID      string
	AssertionFile     string
	AssertionEnv      string
	AssertionFrom     string
	AssertionType     string
	AssertionAudience string
	CertFile, KeyFile string

	// Profile is the name of the profile in the profile file. If it is set, the
	// profile takes precedence over the environment.
	Profile    string
	ConfigFile string // the profile file

	// AddressOnly is for a program that verifies tokens and requests none: the
	// credential may be missing.
	AddressOnly bool
	// OptionName returns what the program's users call an option, for error
	// messages and the [Provenance]. field is its key in a profile file, such
	// as "client_id", or empty for all options together. Default: "option
	// client_id", and "options".
	OptionName func(field string) string

	Getenv func(string) string // nil: os.Getenv
}

// Provenance says where each field of a loaded configuration came from, such as
// "option url", "environment SVCAUTH_CLIENT_ID" or the profile's name and
// file. It is empty for a field that is not set. It never contains a value.
type Provenance struct {
	URL        string
	ClientID   string
	Credential string // what proves who the client is: a secret, a key file …
	CAFile     string
}

// FromEnvironment is [Load] without options: it reads the environment and, if
// something is missing there, the profile file.
func FromEnvironment() (Config, error) {
	config, _, err := Load(LoadOptions{})
	return config, err
}

// Load returns a configuration with Issuer, a credential and, if a CA file is
// named, HTTPClient; the caller sets the rest. Each setting comes from the
// first of these that has it:
//
//  1. the options;
//  2. the environment: SVCAUTH_ and the key of a profile in upper case, such as
//     SVCAUTH_URL, SVCAUTH_CLIENT_ID, SVCAUTH_PRIVATE_KEY_FILE;
//  3. the profile SVCAUTH_PROFILE (or "default") in the file SVCAUTH_CONFIG_FILE
//     (or ~/.config/svcauth/credentials). A profile named in the options comes
//     before the environment.
//
// All of a credential comes from the first source that has a part of one, since
// parts of two don't work together, and two ways to authenticate in one source
// are an error. If that source has nothing that proves the client_id, the token
// of the platform does: of [GitHubActions], else of [HCPTerraform], by the
// variables that they set. TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH is a credential
// of the environment by itself.
//
// The profile file is read only if something is missing without it, or if a
// profile or a profile file was named. Its mode must be 0600, and it looks like
// this:
//
//	[default]
//	url              = https://auth.example.com
//	client_id        = sa_01h455vb4pex5vsknk084sn02q
//	private_key_file = client.key
//
// Its keys are url, ca_file, dpop (true or false), and those of the credential:
// client_id and one of client_secret, client_secret_file, private_key_file
// (with private_key_id), assertion_file, assertion_env (with assertion_type),
// assertion_from, or cert_file with key_file. assertion_audience may be beside
// private_key_file and assertion_from. Paths are relative to the profile file.
//
// An error says what was tried and where each field came from, never a value.
// The Provenance is filled as far as Load got, also with an error.
func Load(options LoadOptions) (Config, Provenance, error) {
	given := options.Getenv
	if given == nil {
		options.Getenv = os.Getenv
	}
	l := loading{options: options}
	config, from, err := l.load()
	config.getenv = given
	if err != nil {
		err = fmt.Errorf("svcauth configuration: %w", err)
	}
	return config, from, err
}

// source is one place that fields can come from.
type source struct {
	name   func(key string) string // for messages: a field's with its source or, with "", the source's
	label  func(key string) string // what a field is called there
	values map[string]string       // by the keys of a profile
	state  string                  // why it has no fields, if that needs explaining
}

type loading struct {
	options LoadOptions
	sources []source
}

func (l *loading) load() (config Config, from Provenance, err error) {
	given, environment := l.given(), l.environment()
	l.sources = []source{given, environment}
	if l.named() || !l.complete() {
		profile, err := l.profile()
		if err != nil {
			return config, from, err
		}
		if l.options.Profile != "" {
			l.sources = []source{given, profile, environment}
		} else {
			l.sources = append(l.sources, profile)
		}
	}
	config.Issuer, from.URL = l.first("url")
	if err := l.credential(&config, &from); err != nil && !l.options.AddressOnly {
		return config, from, err
	}
	caFile, origin := l.first("ca_file")
	from.CAFile = origin
	if config.Issuer == "" || from.Credential == "" && !l.options.AddressOnly {
		return config, from, l.incomplete(config, from)
	}
	if config.DPoP, err = l.bound(); err != nil {
		return config, from, err
	}
	if caFile != "" {
		if config.HTTPClient, err = trusting(caFile); err != nil {
			return config, from, fmt.Errorf("ca_file (from %s): %w", origin, err)
		}
	}
	return config, from, nil
}

// given returns the options that the program itself was given.
func (l *loading) given() source {
	name := l.options.OptionName
	if name == nil {
		name = optionName
	}
	o := l.options
	values := Config{
		Issuer:            o.URL,
		ClientID:          o.ClientID,
		ClientSecret:      o.ClientSecret,
		ClientSecretFile:  o.ClientSecretFile,
		PrivateKeyFile:    o.PrivateKeyFile,
		PrivateKeyID:      o.PrivateKeyID,
		AssertionFile:     o.AssertionFile,
		AssertionEnv:      o.AssertionEnv,
		AssertionFrom:     o.AssertionFrom,
		AssertionType:     o.AssertionType,
		AssertionAudience: o.AssertionAudience,
		CertFile:          o.CertFile,
		KeyFile:           o.KeyFile,
	}.values()
	values["ca_file"], values["dpop"] = o.CAFile, o.DPoP
	return source{name: name, label: name, values: values}
}

// optionName is the default of LoadOptions.OptionName.
func optionName(field string) string {
	if field == "" {
		return "options"
	}
	return "option " + field
}

func (l *loading) environment() source {
	s := source{values: map[string]string{}, label: variable}
	for _, key := range fieldNames() {
		s.values[key] = l.options.Getenv(variable(key))
	}
	// The variable's name says whom the token is for.
	implied := !s.hasCredential() && l.options.Getenv(hcpTokens[0]) != ""
	if implied {
		s.values["assertion_from"] = HCPTerraform
	}
	s.name = func(key string) string {
		switch {
		case key == "":
			return "environment"
		case key == "assertion_from" && implied:
			return "environment " + hcpTokens[0]
		}
		return "environment " + variable(key)
	}
	return s
}

// first returns the first value of a field, and where it came from.
func (l *loading) first(key string) (value, origin string) {
	for _, s := range l.sources {
		if s.values[key] != "" {
			return s.values[key], s.name(key)
		}
	}
	return "", ""
}

// bound returns whether tokens are to be bound.
func (l *loading) bound() (bool, error) {
	switch value, origin := l.first("dpop"); value {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, fmt.Errorf("dpop (from %s) is neither true nor false", origin)
	}
}

// complete reports whether the sources so far suffice. With half a credential
// they do, since another source can't complete it: credential returns the
// error.
func (l *loading) complete() bool {
	url, _ := l.first("url")
	if l.options.AddressOnly && url != "" {
		return true
	}
	return url != "" && slices.ContainsFunc(l.sources, source.hasCredential)
}

// incomplete returns an error that says what is missing, what was found where,
// and what was tried.
func (l *loading) incomplete(config Config, from Provenance) error {
	var missing, found, tried []string
	note := func(field, value, origin string) {
		if value == "" {
			missing = append(missing, field)
		} else {
			found = append(found, field+" from "+origin)
		}
	}
	note("url", config.Issuer, from.URL)
	if !l.options.AddressOnly {
		note("credential", from.Credential, from.Credential)
	}
	for _, s := range l.sources {
		state := s.state
		if state == "" {
			state = "does not have it"
		}
		tried = append(tried, s.name("")+" ("+state+")")
	}
	text := strings.Join(missing, ", ") + " not set"
	if len(found) > 0 {
		text += " (" + strings.Join(found, ", ") + ")"
	}
	credential := "SVCAUTH_CLIENT_ID with SVCAUTH_CLIENT_SECRET or SVCAUTH_PRIVATE_KEY_FILE, or write a profile"
	next := "set SVCAUTH_URL, " + credential
	if l.options.OptionName != nil && config.Issuer == "" {
		next = "set SVCAUTH_URL or " + l.options.OptionName("url") + ", and " + credential
	}
	if l.options.AddressOnly {
		next = "set SVCAUTH_URL, or write a profile"
	}
	return errors.New(text + "; tried " + strings.Join(tried, ", ") + "; " + next)
}

// trusting returns a client that trusts the system's certificates and those in
// the file.
func trusting(caFile string) (*http.Client, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf(
			"%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
			filepath.Base(caFile),
		)
	}
	transport := &http.Transport{}
	if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = standard.Clone()
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}
