package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// connection is what the flags of a management command say of the server.
type connection struct {
	url, profile, caFile, output string
}

func addConnection(flags *pflag.FlagSet, credential bool) *connection {
	k := &connection{}
	flags.StringVar(&k.url, "url", "", "the server's issuer (default: SVCAUTH_URL, else the profile's)")
	flags.StringVar(&k.caFile, "ca-file", "", "certificates to trust beside the system's, PEM (default: SVCAUTH_CA_FILE)")
	if credential {
		flags.StringVar(&k.profile, "profile", "", "profile that says who asks (default: the environment, else SVCAUTH_PROFILE, else default)")
	} else {
		flags.StringVar(&k.profile, "profile", "", "profile that says which server (default: the environment, else SVCAUTH_PROFILE, else default)")
	}
	return k
}

// session is what a management command works with: the server's client and the terminal.
type session struct {
	client *svcauth.Client     // nil where the command is offline, as are the next two
	tokens *tokensource.Source // for all that the client may do
	narrow *tokensource.Source // for this server alone
	config tokensource.Config  // for further sources, with other scopes
	from   tokensource.Provenance

	command  *cobra.Command
	in       io.Reader
	out, err io.Writer
	json     bool
	now      func() time.Time
}

// open finds server and credential. It sends nothing.
func (k *connection) open(c *cobra.Command, offline bool) (*session, error) {
	if err := checkOutput(k.output); err != nil {
		return nil, err
	}
	s := &session{command: c, in: c.InOrStdin(), out: c.OutOrStdout(), err: c.ErrOrStderr(), json: k.output == "json", now: time.Now}
	var err error
	s.config, s.from, err = tokensource.Load(tokensource.LoadOptions{URL: k.url, CAFile: k.caFile, Profile: k.profile, AddressOnly: offline,
		OptionName: func(field string) string { return "--" + map[string]string{"url": "url", "ca_file": "ca-file"}[field] }})
	if err != nil {
		return nil, err
	}
	s.config.UserAgent = "svcauth/" + version
	s.config.Timeout = 20 * time.Second // more than a revocation may wait for
	if offline {
		return s, nil
	}
	if s.tokens, err = tokensource.New(s.config); err != nil {
		return nil, err
	}
	narrow := s.config
	narrow.Resource = []string{narrow.Issuer}
	if s.narrow, err = tokensource.New(narrow); err != nil {
		return nil, err
	}
	transport := eitherToken{s.tokens.Transport(nil), s.narrow.Transport(nil)}
	s.client, err = svcauth.NewClient(svcauth.ClientConfig{URL: s.config.Issuer, UserAgent: s.config.UserAgent, HTTPClient: &http.Client{Transport: transport}})
	return s, err
}

// eitherToken sends a request with a token for all that the client may do, because one can hand over only privileges that the token carries. Where that is refused it sends
// it with one for this server alone: without a resource, the token of a client that has none of this server's privileges is for other APIs only (contract §2.1), and
// such a client may still ask who it is and manage its own application keys.
type eitherToken struct{ whole, narrow http.RoundTripper }

func (e eitherToken) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := e.whole.RoundTrip(req)
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		return res, err
	}
	again := req.Clone(req.Context())
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return res, nil
		}
	}
	_ = res.Body.Close()
	return e.narrow.RoundTrip(again)
}

func (s *session) close() {
	for _, source := range []*tokensource.Source{s.tokens, s.narrow} {
		if source != nil {
			_ = source.Close()
		}
	}
}

// say prints a line for people; with -o json there is nothing to say beside the JSON.
func (s *session) say(format string, args ...any) {
	if !s.json {
		fmt.Fprintf(s.out, format+"\n", args...)
	}
}

// hint prints to standard error, where no program reads it as data.
func (s *session) hint(format string, args ...any) { fmt.Fprintf(s.err, format+"\n", args...) }
