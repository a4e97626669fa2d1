package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func organizationCommand() *cobra.Command {
	return noun("organization", "Your organization; for the operator, all of them", []string{"organizations", "org"},
		getOrganization(), updateOrganization(), listOrganizations(), createOrganization(), deleteOrganization())
}

const aboutWhose = "Without an id it is your own organization. Others are the operator's (organizations:manage)."

func getOrganization() *cobra.Command {
	return verb{
		use:     "get [ORGANIZATION]",
		short:   "Show your organization and its settings, or any by its id",
		long:    aboutWhose,
		example: []string{"svcauth organization get"},
		run: func(ctx context.Context, s *session, args []string) error {
			organization, err := s.organization(ctx, args)
			if err != nil {
				return err
			}
			return s.showOrganization(organization)
		},
	}.command()
}

func (s *session) organization(ctx context.Context, args []string) (svcauth.Organization, error) {
	if len(args) == 0 {
		return s.client.Organization(ctx)
	}
	return s.client.OrganizationByID(ctx, args[0])
}

func (s *session) showOrganization(o svcauth.Organization) error {
	return s.show(o, s.organizationFields(o)...)
}

func (s *session) organizationFields(o svcauth.Organization) []field {
	return []field{value("Name", o.Name), value("ID", o.ID), value("Operator", yesNo(o.Operator)),
		value("Service accounts may manage access", yesNo(o.ServiceAccountsMayManageAccess)),
		value("Password sign-in", o.PasswordSignIn), value("Shared secrets", o.SharedSecrets),
		value("Application keys", o.ApplicationKeys),
		value("Created", stamp(s.now(), &o.CreatedAt, ""))}
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func updateOrganization() *cobra.Command {
	var name, passwords, secrets, keys string
	var may bool
	var t removal
	return verb{
		use:   "update [ORGANIZATION]",
		short: "Change an organization's name or settings",
		long:  aboutWhose,
		example: []string{
			"svcauth organization update --service-accounts-may-manage-access=true",
			"svcauth organization update --password-sign-in off",
			"svcauth organization update --shared-secrets refused --yes",
		},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&name, "name", "", "new name")
			flags.BoolVar(&may, "service-accounts-may-manage-access", false, "whether a service account may create "+
				"and change service accounts and grant roles (=true or =false)")
			flags.StringVar(&passwords, "password-sign-in", "",
				"on, or off: only single sign-on leads in to the console")
			flags.StringVar(&secrets, "shared-secrets", "", "allowed, no_new (no secret of a service account is "+
				"made), or refused: none works either, and what they obtained is revoked")
			flags.StringVar(&keys, "application-keys", "", "allowed, or refused: none is made and none works")
			t.yesFlag(flags)
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			patch := svcauth.OrganizationPatch{
				Name:            s.given("name", &name),
				PasswordSignIn:  s.given("password-sign-in", &passwords),
				SharedSecrets:   s.given("shared-secrets", &secrets),
				ApplicationKeys: s.given("application-keys", &keys),
			}
			if s.command.Flags().Changed("service-accounts-may-manage-access") {
				patch.ServiceAccountsMayManageAccess = &may
			}
			if patch == (svcauth.OrganizationPatch{}) {
				return wrongUsage("nothing to change: give --name, --service-accounts-may-manage-access=true, " +
					"--password-sign-in off, --shared-secrets or --application-keys")
			}
			organization, err := s.updateOrganization(ctx, args, patch, &t)
			if err != nil {
				return err
			}
			return s.showOrganization(organization)
		},
	}.command()
}

// updateOrganization sends the patch. If the server says that it stops clients,
// it asks, and sends it again confirmed.
func (s *session) updateOrganization(
	ctx context.Context, args []string, patch svcauth.OrganizationPatch, t *removal,
) (svcauth.Organization, error) {
	send := func() (svcauth.Organization, error) {
		if len(args) == 0 {
			return s.client.UpdateOrganization(ctx, 0, patch)
		}
		return s.client.UpdateOrganizationByID(ctx, args[0], 0, patch)
	}
	patch.Confirm = t.yes
	organization, err := send()
	stops := stopsClients(err)
	if stops == "" || t.yes {
		return organization, err
	}
	if err := t.confirm(ctx, s, func() (string, error) { return stops, nil }); err != nil {
		return organization, err
	}
	patch.Confirm = true
	return send()
}

// stopsClients returns what the server says of the clients that a change stops,
// or the empty string if that is not why it refused.
func stopsClients(err error) string {
	var p *svcauth.Problem
	if !errors.As(err, &p) || p.Code != svcauth.CodeConflict {
		return ""
	}
	var texts []string
	for _, one := range p.Errors {
		if one.Location == "body.shared_secrets" || one.Location == "body.application_keys" {
			texts = append(texts, clean(one.Message))
		}
	}
	return strings.Join(texts, " ")
}

func listOrganizations() *cobra.Command {
	return listing[svcauth.Organization]{
		verb: verb{
			use:     "list",
			aliases: []string{"ls"},
			short:   "List all organizations (the operator's)",
			example: []string{"svcauth organization list"},
		},
		page: func(ctx context.Context, s *session, _ []string,
			o svcauth.ListOptions) (svcauth.List[svcauth.Organization], error) {
			return s.client.Organizations(ctx, o)
		},
		columns: func(s *session) []column[svcauth.Organization] {
			return []column[svcauth.Organization]{
				{title: "NAME", cell: func(o svcauth.Organization) string { return o.Name }},
				{title: "ID", whole: true, cell: func(o svcauth.Organization) string { return o.ID }},
				{
					title: "OPERATOR",
					whole: true,
					cell:  func(o svcauth.Organization) string { return yesNo(o.Operator) },
				},
				{
					title: "CREATED",
					whole: true,
					cell:  func(o svcauth.Organization) string { return ago(s.now(), o.CreatedAt) },
				},
			}
		},
		none: "No organizations.",
	}.command()
}

func createOrganization() *cobra.Command {
	var f tenantFlags
	c := verb{
		use:   "create [NAME]",
		short: "Make an organization, and invite its first administrator (the operator's)",
		long: "The one-time link for the administrator is shown once, to a service account never: it is mailed.\n\n" +
			"With --name instead of NAME the organization is made on the database, on the server's own machine " +
			"and with its configuration, as bootstrap makes the first one: with a password and an application key, " +
			"shown once.",
		example: []string{"svcauth organization create acme --admin-email admin@acme.example"},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&f.AdminEmail, "admin-email", "", "address of its first administrator")
			flags.StringVar(&f.Name, "name", "", "its name, to make it on the database")
			f.passwordFlag(flags)
		},
		run: func(ctx context.Context, s *session, args []string) error {
			made, err := s.client.CreateOrganization(ctx, svcauth.NewOrganization{
				Name: args[0], AdminEmail: f.AdminEmail,
			})
			if err != nil {
				return err
			}
			return s.showNewOrganization(made, f.AdminEmail)
		},
	}.command()
	overHTTP := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case (len(args) == 0) == (f.Name == ""):
			return wrongUsage("expected the organization's NAME, or --name NAME to make it on the database")
		case f.AdminEmail == "":
			return wrongUsage("--admin-email is missing: the address of the first administrator")
		case f.Name != "":
			return f.addOrganization(c)
		case f.passwordFile != "":
			return wrongUsage("--admin-password-file goes with --name: an invited administrator chooses the password")
		}
		return overHTTP(c, args)
	}
	return c
}

func (s *session) showNewOrganization(made svcauth.CreatedOrganization, adminEmail string) error {
	fields := s.organizationFields(made.Organization)
	if made.InvitationURL != "" {
		fields = append(fields, value("One-time link", made.InvitationURL))
	}
	if i := made.Invitation; i != nil {
		fields = append(fields, value("Valid until", stamp(s.now(), &i.ExpiresAt, "")))
	}
	if err := s.show(made, fields...); err != nil {
		return err
	}
	if made.InvitationURL == "" {
		s.hint("The invitation goes to %s by mail alone: a service account gets no link.", clean(adminEmail))
		return nil
	}
	s.hint("The link is shown this once, works once and expires: send it to that person by a way that only they read.")
	return nil
}

func deleteOrganization() *cobra.Command {
	var t removal
	return verb{
		use:     "remove ORGANIZATION",
		aliases: []string{"delete", "rm"},
		short:   "Remove an organization, by its id, with all that belongs to it (the operator's)",
		example: []string{"svcauth organization remove org_01h455vb4pex5vsknk084sn02q --yes"},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			if err := t.confirm(ctx, s, func() (string, error) {
				o, err := s.client.OrganizationByID(ctx, args[0])
				return fmt.Sprintf("Remove organization \"%s\" (%s) with all its members, service accounts, roles "+
					"and keys? Its tokens die at once, and nothing of it can be had again.", clean(o.Name),
					args[0]), err
			}); err != nil {
				return err
			}
			e, err := s.client.DeleteOrganization(ctx, args[0], t.wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Removed organization %s.", args[0])
		},
	}.command()
}
