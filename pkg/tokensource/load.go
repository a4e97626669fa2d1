package tokensource

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// LoadOptions are the settings that the program itself was given, such as the
// flags of a command. Leave empty what it was not given.
type LoadOptions struct {
	URL              string // the issuer
	ClientID         string
	ClientSecret     svcauth.Secret
	ClientSecretFile string
	CAFile           string // PEM file of certificates to trust besides the system's
	// Profile is the name of the profile in the profile file. If it is set, the
	// profile takes precedence over the environment.
	Profile    string
	ConfigFile string // the profile file

	// AddressOnly is for a program that verifies tokens and requests none: the
	// id and secret may be missing.
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
	URL          string
	ClientID     string
	ClientSecret string // or ClientSecretFile
	CAFile       string
}

// FromEnvironment is [Load] without options: it reads the environment and, if
// something is missing there, the profile file.
func FromEnvironment() (Config, error) {
	config, _, err := Load(LoadOptions{})
	return config, err
}

// Load returns a configuration with Issuer, ClientID, ClientSecret or
// ClientSecretFile and, if a CA file is named, HTTPClient; the caller sets the
// rest. Each field comes from the first of these that has it:
//
//  1. the options;
//  2. the environment: SVCAUTH_URL, SVCAUTH_CLIENT_ID, SVCAUTH_CLIENT_SECRET or
//     SVCAUTH_CLIENT_SECRET_FILE, SVCAUTH_CA_FILE;
//  3. the profile SVCAUTH_PROFILE (or "default") in the file SVCAUTH_CONFIG_FILE
//     (or ~/.config/svcauth/credentials). A profile named in the options comes
//     before the environment.
//
// The id and the secret must come from the same source, since parts of two
// credentials don't work together. The profile file is read only if something
// is missing without it, or if a profile or a profile file was named. Its mode
// must be 0600, and it looks like this:
//
//	[default]
//	url           = https://auth.example.com
//	client_id     = sa_01h455vb4pex5vsknk084sn02q
//	client_secret = svcs_…
//
// Instead of client_secret it may have client_secret_file, and it may have
// ca_file. Their paths are relative to the profile file.
//
// An error says what was tried and where each field came from, never a value.
// The Provenance is filled as far as Load got, also with an error.
func Load(options LoadOptions) (Config, Provenance, error) {
	if options.Getenv == nil {
		options.Getenv = os.Getenv
	}
	l := loading{options: options}
	config, from, err := l.load()
	if err != nil {
		err = fmt.Errorf("svcauth configuration: %w", err)
	}
	return config, from, err
}

// source is one place that fields can come from.
type source struct {
	name   func(field string) string // for messages: a field's or, with "", the source's
	fields map[string]string         // as in the profile file
	state  string                    // why it has no fields, if that needs explaining
}

type loading struct {
	options LoadOptions
	sources []source
}

var credentialFields = []string{"client_id", "client_secret", "client_secret_file"}

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
	if config.Issuer == "" || config.ClientID == "" && !l.options.AddressOnly {
		return config, from, l.incomplete(config, from)
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
	return source{
		name: name,
		fields: map[string]string{
			"url":                l.options.URL,
			"client_id":          l.options.ClientID,
			"client_secret":      l.options.ClientSecret.Reveal(),
			"client_secret_file": l.options.ClientSecretFile,
			"ca_file":            l.options.CAFile,
		},
	}
}

// optionName is the default of LoadOptions.OptionName.
func optionName(field string) string {
	if field == "" {
		return "options"
	}
	return "option " + field
}

func (l *loading) environment() source {
	variable := func(field string) string { return "SVCAUTH_" + strings.ToUpper(field) }
	fields := map[string]string{}
	for _, field := range profileFields {
		fields[field] = l.options.Getenv(variable(field))
	}
	return source{fields: fields, name: func(field string) string {
		if field == "" {
			return "environment"
		}
		return "environment " + variable(field)
	}}
}

// first returns the first value of a field, and where it came from.
func (l *loading) first(field string) (value, origin string) {
	for _, s := range l.sources {
		if s.fields[field] != "" {
			return s.fields[field], s.name(field)
		}
	}
	return "", ""
}

func (s source) hasCredential() bool {
	for _, field := range credentialFields {
		if s.fields[field] != "" {
			return true
		}
	}
	return false
}

// complete reports whether the sources so far suffice. With half a credential
// they do, since another source can't complete it: credential returns the
// error.
func (l *loading) complete() bool {
	url, _ := l.first("url")
	if l.options.AddressOnly && url != "" {
		return true
	}
	for _, s := range l.sources {
		if s.hasCredential() {
			return url != ""
		}
	}
	return false
}

// credential takes id and secret from the first source that has a part of them.
// It returns an error if that source doesn't have both.
func (l *loading) credential(config *Config, from *Provenance) error {
	for _, s := range l.sources {
		if !s.hasCredential() {
			continue
		}
		id, secret, file := s.fields["client_id"], s.fields["client_secret"], s.fields["client_secret_file"]
		switch {
		case id == "":
			return fmt.Errorf(
				"%s gives a secret but no client_id; id and secret must come from one source, so set %s too",
				s.name(""),
				s.name("client_id"),
			)
		case secret == "" && file == "":
			return fmt.Errorf(
				"%s is set, but neither %s nor %s is; id and secret must come from one source, so set one of them",
				s.name("client_id"),
				s.name("client_secret"),
				s.name("client_secret_file"),
			)
		case secret != "" && file != "":
			return fmt.Errorf(
				"both %s and %s are set; set one of them only",
				s.name("client_secret"),
				s.name("client_secret_file"),
			)
		}
		for field, value := range map[string]string{"client_id": id, "client_secret": secret} {
			if strings.ContainsAny(value, "\r\n") {
				return fmt.Errorf("%s %s", s.name(field), lineBreak)
			}
		}
		config.ClientID, config.ClientSecret, config.ClientSecretFile = id, svcauth.Secret(secret), file
		from.ClientID, from.ClientSecret = s.name("client_id"), s.name("client_secret")
		if file != "" {
			from.ClientSecret = s.name("client_secret_file")
		}
		return nil
	}
	return nil
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
		note("client_id and client_secret", config.ClientID, from.ClientID)
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
	next := "set SVCAUTH_URL, SVCAUTH_CLIENT_ID and SVCAUTH_CLIENT_SECRET, or write a profile"
	if l.options.OptionName != nil && config.Issuer == "" {
		next = "set SVCAUTH_URL or " + l.options.OptionName("url") + ", and SVCAUTH_CLIENT_ID " +
			"and SVCAUTH_CLIENT_SECRET, or write a profile"
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
