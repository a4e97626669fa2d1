package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// sentence returns what to print about a command that failed.
func sentence(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "interrupted; if a change was under way, look whether it was made before you repeat it"
	}
	return err.Error()
}

// advice is an error with its next step. It keeps the cause for errors.As.
type advice struct {
	text  string
	cause error
}

func (e *advice) Error() string { return e.text }
func (e *advice) Unwrap() error { return e.cause }

// explain adds what to do to an error of the server or of the connection to it.
func (s *session) explain(err error) error {
	var done *advice
	var problem *svcauth.Problem
	var noToken *tokensource.Error
	var untrusted *tls.CertificateVerificationError
	var unknown *net.DNSError
	text := ""
	switch {
	case err == nil || errors.Is(err, errAnswered) || errors.As(err, &done):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		text = fmt.Sprintf("no server answers at %s (from %s): connection refused; "+
			"is it running there? Start it with 'svcauth serve', or set SVCAUTH_URL or --url to where it runs",
			s.config.Issuer, s.from.URL)
	case errors.As(err, &unknown):
		text = fmt.Sprintf("the host of %s (from %s) can't be found: %s; "+
			"check the spelling, or set SVCAUTH_URL or --url", s.config.Issuer, s.from.URL, unknown.Err)
	case errors.As(err, &untrusted):
		text = fmt.Sprintf("%v; if %s has a private CA, name its certificate with --ca-file or SVCAUTH_CA_FILE", err,
			s.config.Issuer)
	case errors.As(err, &noToken) && noToken.Status == http.StatusUnauthorized:
		text = s.refused(err)
	case errors.As(err, &noToken) && noToken.Code == "invalid_scope":
		text = fmt.Sprintf("%v; 'svcauth explain %s' shows what client %[2]s may ask for", err, s.config.ClientID)
	case errors.As(err, &problem):
		text = s.problem(problem)
	default:
		return err
	}
	return &advice{text, err}
}

// refused returns the text for a credential that the server doesn't take: whose
// it is, and where it came from.
func (s *session) refused(err error) string {
	if s.config.ClientSecret != "" || s.config.ClientSecretFile != "" {
		return fmt.Sprintf("%v; client %s (from %s) with the secret from %s was refused: "+
			"check both, or make a new secret in the console", err, s.config.ClientID, s.from.ClientID,
			s.from.Credential)
	}
	client := "a client without a client_id"
	if s.config.ClientID != "" {
		client = fmt.Sprintf("client %s (from %s)", s.config.ClientID, s.from.ClientID)
	}
	return fmt.Sprintf("%v; %s was refused with what is from %s", err, client, s.from.Credential)
}

// problem returns everything that a problem says, in one line.
func (s *session) problem(p *svcauth.Problem) string {
	var b strings.Builder
	b.WriteString(p.Detail)
	for _, field := range p.Errors {
		if field.Message != "" && !strings.Contains(p.Detail, field.Message) {
			fmt.Fprintf(&b, "; %s: %s", field.Location, field.Message)
		}
	}
	var missing []string
	for _, privilege := range p.Missing {
		if !strings.Contains(p.Detail, privilege) {
			missing = append(missing, privilege)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(&b, "; missing: %s", strings.Join(missing, ", "))
	}
	switch {
	case p.Status == http.StatusUnauthorized:
		fmt.Fprintf(&b, "; the token of client %s (from %s) was refused", s.config.ClientID, s.from.ClientID)
	case p.Status == http.StatusForbidden:
		fmt.Fprintf(&b, "; 'svcauth me' shows what client %s (from %s) may do", s.config.ClientID, s.from.ClientID)
	case p.Status == http.StatusPreconditionFailed:
		b.WriteString("; run the command again")
	case p.Status >= 500 && p.RequestID != "":
		fmt.Fprintf(&b, " (request %s)", p.RequestID)
	}
	return b.String()
}
