package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// connection holds a management command's flags about the server.
type connection struct {
	url, profile, caFile, output string
}

func addConnection(flags *pflag.FlagSet, credential bool) *connection {
	k := &connection{}
	flags.StringVar(&k.url, "url", "", "the server's issuer (default: SVCAUTH_URL, else the profile's)")
	flags.StringVar(&k.caFile, "ca-file", "",
		"certificates to trust beside the system's, PEM (default: SVCAUTH_CA_FILE)")
	if credential {
		flags.StringVar(&k.profile, "profile", "",
			"profile that says who asks (default: the environment, else SVCAUTH_PROFILE, else default)")
	} else {
		flags.StringVar(&k.profile, "profile", "",
			"profile that says which server (default: the environment, else SVCAUTH_PROFILE, else default)")
	}
	return k
}

// session holds what a management command works with: the server's client and
// the terminal.
type session struct {
	client *svcauth.Client     // nil if the command is offline, as is tokens
	tokens *tokensource.Source // for the server itself alone
	config tokensource.Config  // for further sources, with other scopes
	from   tokensource.Provenance

	command  *cobra.Command
	in       io.Reader
	out, err io.Writer
	json     bool
	layout   layout // of tables
	now      func() time.Time
}

// open finds the server and the credential. It sends nothing.
func (k *connection) open(c *cobra.Command, offline bool) (*session, error) {
	if err := checkOutput(k.output, outputWide); err != nil {
		return nil, err
	}
	s := &session{
		command: c,
		in:      c.InOrStdin(),
		out:     c.OutOrStdout(),
		err:     c.ErrOrStderr(),
		json:    k.output == "json",
		layout:  layoutFor(c.OutOrStdout(), k.output == outputWide),
		now:     time.Now,
	}
	var err error
	s.config, s.from, err = tokensource.Load(tokensource.LoadOptions{
		URL:         k.url,
		CAFile:      k.caFile,
		Profile:     k.profile,
		AddressOnly: offline,
		OptionName:  flagName,
	})
	if err != nil {
		return nil, err
	}
	s.config.Fresh = true // it may be revoked when it is not needed any more
	if err := s.checkSecret(); err != nil {
		return nil, err
	}
	s.config.UserAgent = "svcauth/" + version
	s.config.Timeout = 20 * time.Second // more than a revocation may wait for
	if offline {
		return s, nil
	}
	if s.client, s.tokens, err = tokensource.NewClient(s.config); err != nil {
		return nil, err
	}
	return s, nil
}

// checkSecret tells a secret that can't be one before anything is sent: one
// that was cut when it was copied, or mistyped. Clients whose ids this server
// has not made may have secrets of any form. What can't be read here is told by
// whoever needs it.
func (s *session) checkSecret() error {
	if !svcauth.ValidClientID(s.config.ClientID) {
		return nil
	}
	text := s.config.ClientSecret.Reveal()
	if s.config.ClientSecretFile != "" {
		raw, err := os.ReadFile(s.config.ClientSecretFile)
		if err != nil {
			return nil
		}
		text = strings.TrimSpace(string(raw))
	}
	if text == "" {
		return nil
	}
	if _, err := svcauth.ParseSecret(text); err != nil {
		return fmt.Errorf("the secret of client %s (from %s) can't be right: %w",
			s.config.ClientID, s.from.Credential, err)
	}
	return nil
}

// flagName returns what messages call the flag for a field of a profile, or
// with "" all flags together.
func flagName(field string) string {
	if field == "" {
		return "the options"
	}
	return "--" + strings.ReplaceAll(field, "_", "-")
}

func (s *session) close() {
	if s.tokens != nil {
		_ = s.tokens.Close()
	}
}

// say prints a line for people. With -o json it prints nothing.
func (s *session) say(format string, args ...any) {
	if !s.json {
		fmt.Fprintf(s.out, format+"\n", args...)
	}
}

// hint prints to standard error, where no program takes it for data.
func (s *session) hint(format string, args ...any) { fmt.Fprintf(s.err, format+"\n", args...) }
