package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

var aboutCertificates = map[string]choices{"SERVICE-ACCOUNT": accountChoices, "CERTIFICATE": certificateChoices}

func accountCertificateCommand() *cobra.Command {
	return noun("certificate",
		"By what certificates a service account proves who it is in mutual TLS; up to 10 at once",
		[]string{"certificates"}, listCertificates(), getCertificate(), createCertificate(), deleteCertificate())
}

// certificateChoices returns the ids of what is registered for the service
// account that the first argument names.
func certificateChoices(ctx context.Context, s *session, args []string, _ string) ([]string, error) {
	id, err := s.accountID(ctx, args[0])
	if err != nil {
		return nil, err
	}
	found, err := s.client.Certificates(ctx, id)
	out := make([]string, 0, len(found.Items))
	for _, one := range found.Items {
		out = append(out, one.ID)
	}
	return out, err
}

// registered returns what is registered, in one line.
func registered(c svcauth.Certificate) string {
	field, value := c.Registered()
	if c.Subject != "" {
		value += " (" + c.Subject + ")"
	}
	return field + " " + value
}

func listCertificates() *cobra.Command {
	return listing[svcauth.Certificate]{whole: true,
		verb: verb{
			use:     "list SERVICE-ACCOUNT",
			aliases: []string{"ls"},
			short:   "List what is registered for a service account, and when it was used",
			choices: aboutCertificates,
			example: []string{"svcauth service-account certificate list deployer"},
		},
		page: func(ctx context.Context, s *session, args []string,
			_ svcauth.ListOptions) (found svcauth.List[svcauth.Certificate], err error) {
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return found, err
			}
			return s.client.Certificates(ctx, id)
		},
		columns: func(s *session) []column[svcauth.Certificate] {
			return []column[svcauth.Certificate]{
				{title: "ID", whole: true, cell: func(c svcauth.Certificate) string { return c.ID }},
				{title: "REGISTERED", cell: registered},
				{title: "MADE BY", cell: func(c svcauth.Certificate) string { return c.CreatedBy.Email }},
				{
					title: "LAST USED",
					whole: true,
					cell:  func(c svcauth.Certificate) string { return agoOr(s.now(), c.LastUsedAt, "never") },
				},
				{
					title: "EXPIRES",
					whole: true,
					cell:  func(c svcauth.Certificate) string { return agoOr(s.now(), c.ExpiresAt, "never") },
				},
				{title: "DESCRIPTION", cell: func(c svcauth.Certificate) string { return c.Description }},
			}
		},
		none: "No certificates. Register one: svcauth service-account certificate create SERVICE-ACCOUNT",
	}.command()
}

func (s *session) showCertificate(c svcauth.Certificate) error {
	now := s.now()
	fields := []field{value("ID", c.ID), value("Method", c.Method), value("Registered", registered(c))}
	if c.NotAfter != nil {
		fields = append(fields, value("Ends itself", stamp(now, c.NotAfter, "never")))
	}
	return s.show(c, append(fields, value("Description", c.Description),
		value("Created", stamp(now, &c.CreatedAt, "")+by(c.CreatedBy)),
		value("Expires", stamp(now, c.ExpiresAt, "never")), value("Last used", stamp(now, c.LastUsedAt, "never")))...)
}

func getCertificate() *cobra.Command {
	return credentialGet[svcauth.Certificate]{
		short:    "Show what is registered, and when it was used",
		argument: "CERTIFICATE", choices: aboutCertificates, get: (*svcauth.Client).Certificate,
		example: "svcauth service-account certificate get deployer crt_01h455vb4pex5vsknk084sn02q",
		show:    (*session).showCertificate,
	}.command()
}

func createCertificate() *cobra.Command {
	var body svcauth.NewCertificate
	var expires, file string
	return verb{
		use:     "create SERVICE-ACCOUNT",
		short:   "Register a certificate for a service account, by a name in it or itself",
		choices: aboutCertificates,
		long: "By a name, each certificate proves the account that has it from an authority of the server " +
			"(tls.client_ca_file), a renewed one too. With --certificate-file, that certificate alone does, " +
			"whoever signed it. Names are compared to the letter.",
		example: []string{
			"svcauth service-account certificate create deployer --san-uri spiffe://example.org/deployer",
			"svcauth service-account certificate create deployer --certificate-file deployer.crt --expires-at 90d",
		},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&body.SubjectDN, "subject-dn", "",
				"the subject, as RFC 4514 writes it: CN=deployer,O=Example")
			flags.StringVar(&body.SANDNS, "san-dns", "", "a DNS name that it has")
			flags.StringVar(&body.SANURI, "san-uri", "", "a URI that it has, such as a SPIFFE ID")
			flags.StringVar(&body.SANIP, "san-ip", "", "an IP address that it has")
			flags.StringVar(&body.SANEmail, "san-email", "", "a mail address that it has")
			flags.StringVar(&file, "certificate-file", "", "the certificate itself, a PEM file without its private key")
			flags.StringVar(&body.Description, "description", "", "what it is for")
			flags.StringVar(&expires, "expires-at", "",
				"when the registration ends: a time, a date or a duration such as 90d (default: never)")
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			if body.ExpiresAt, err = momentAhead("expires-at", expires, s.now()); err != nil {
				return err
			}
			if file != "" {
				raw, err := os.ReadFile(file)
				if err != nil {
					return fmt.Errorf("read the certificate: %w", err)
				}
				body.Certificate = string(raw)
			}
			given := 0
			for _, one := range []string{body.SubjectDN, body.SANDNS, body.SANURI, body.SANIP, body.SANEmail, file} {
				if one != "" {
					given++
				}
			}
			if given != 1 {
				return wrongUsage("give exactly one of --subject-dn, --san-dns, --san-uri, --san-ip, --san-email and " +
					"--certificate-file")
			}
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			made, err := s.client.CreateCertificate(ctx, id, body)
			if err != nil {
				return err
			}
			return s.showCertificate(made)
		},
	}.command()
}

func deleteCertificate() *cobra.Command {
	return credentialRemoval{
		noun: "certificate", argument: "CERTIFICATE", choices: aboutCertificates,
		remove: (*svcauth.Client).DeleteCertificate,
		example: "svcauth service-account certificate remove deployer crt_01h455vb4pex5vsknk084sn02q " +
			"--revoke-tokens --yes",
		question: func(ctx context.Context, s *session, name, account, id string, _ bool) (string, error) {
			found, err := s.client.Certificate(ctx, account, id)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("Remove certificate %s (%s) of service account %s, %s? "+
				"Clients that use it get no token any more.", found.ID, clean(registered(found)),
				called(name, account), lastUsed(s.now(), found.LastUsedAt)), nil
		},
	}.command()
}
