package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func memberCommand() *cobra.Command {
	return noun("member", "Members: the people who sign in to the console", []string{"members"},
		listMembers(), getMember(), inviteMember(), updateMember(), suspendMember(), activateMember(), removeMember(),
		resetMember(),
		memberHolders.roleCommand(unassignMemberRole()))
}

var aboutMembers = map[string]choices{"MEMBER": memberChoices, "ROLE": roleChoices, "role": roleChoices}

func listMembers() *cobra.Command {
	return listing[svcauth.Member]{
		verb: verb{
			use:     "list",
			aliases: []string{"ls"},
			short:   "List members, newest first",
			example: []string{"svcauth member list"},
		},
		page: func(ctx context.Context, s *session, _ []string, o svcauth.ListOptions) (svcauth.List[svcauth.Member],
			error) {
			return s.client.Members(ctx, o)
		},
		columns: func(s *session) []column[svcauth.Member] {
			return []column[svcauth.Member]{
				{title: "EMAIL", cell: func(m svcauth.Member) string { return m.Email }},
				{title: "ID", whole: true, cell: func(m svcauth.Member) string { return m.ID }},
				{title: "STATUS", whole: true, cell: func(m svcauth.Member) string { return m.Status }},
				{title: "ROLES", cell: func(m svcauth.Member) string { return strings.Join(refNames(m.Roles), ", ") }},
				{
					title: "NAME",
					wide:  true,
					cell: func(m svcauth.Member) string {
						return orElse(strings.TrimSpace(m.FirstName+" "+m.LastName), "-")
					},
				},
				{
					title: "LAST SIGN-IN",
					wide:  true,
					cell:  func(m svcauth.Member) string { return stamp(s.now(), m.LastSignInAt, "never") },
				},
				{
					title: "CREATED",
					wide:  true,
					cell:  func(m svcauth.Member) string { return stamp(s.now(), &m.CreatedAt, "") },
				},
			}
		},
		none: "No members. Invite one: svcauth member invite ADDRESS",
	}.command()
}

func getMember() *cobra.Command {
	return verb{
		use:     "get MEMBER",
		short:   "Show one member, by id or address",
		choices: aboutMembers,
		example: []string{"svcauth member get ada@example.com"},
		run: func(ctx context.Context, s *session, args []string) error {
			member, err := s.member(ctx, args[0])
			if err != nil {
				return err
			}
			return s.showMember(member)
		},
	}.command()
}

func (s *session) showMember(m svcauth.Member) error {
	now := s.now()
	fields := []field{value("Email", m.Email), value("ID", m.ID),
		value("Name", strings.TrimSpace(m.FirstName+" "+m.LastName)), value("Status", m.Status),
		value("Roles", refNames(m.Roles)...), value("Created", stamp(now, &m.CreatedAt, "")+" by "+m.CreatedBy.Email),
		value("Last sign-in", stamp(now, m.LastSignInAt, "never"))}
	fields = append(fields, s.invitationFields(m)...)
	if m.InvitationURL != "" {
		fields = append(fields, value("One-time link", m.InvitationURL))
	}
	if err := s.show(m, fields...); err != nil {
		return err
	}
	switch {
	case m.InvitationURL != "":
		s.hint("The link is shown this once, works once and expires: send it to that person " +
			"by a way that only they read.")
	case m.Invitation == nil && m.Status == svcauth.MemberInvited:
		s.hint("The invitation is over: nobody can sign in by it. Make a new one: svcauth member reset %s",
			clean(m.Email))
	case m.Invitation != nil && (m.Invitation.Problem != "" || m.Invitation.Mail == svcauth.MailFailed):
		s.hint("Make a new link, and send it again: svcauth member reset %s", clean(m.Email))
	}
	s.reportEnforcement(m.Enforcement)
	return nil
}

// invitationFields returns what is known of a member's open link.
func (s *session) invitationFields(m svcauth.Member) []field {
	i, now := m.Invitation, s.now()
	if i == nil {
		return nil
	}
	title := "Invitation"
	if i.Kind == "reset" {
		title = "Link to set a password"
	}
	fields := []field{value(title, "open until "+stamp(now, &i.ExpiresAt, ""))}
	if i.Problem != "" {
		fields[0] = value(title, "does not open. "+i.Problem)
	}
	switch i.Mail {
	case svcauth.MailQueued:
		fields = append(fields, value("Mail", "on its way to "+m.Email))
	case svcauth.MailSent:
		fields = append(fields, value("Mail", "sent "+stamp(now, i.MailAt, "")))
	case svcauth.MailFailed:
		fields = append(fields, value("Mail", "failed "+stamp(now, i.MailAt, "")+". "+i.MailProblem))
	}
	return fields
}

func inviteMember() *cobra.Command {
	var body svcauth.NewMember
	var roles []string
	return verb{
		use:     "invite ADDRESS",
		short:   "Invite a person; the one-time link is shown once, to a service account never: it is mailed",
		choices: aboutMembers,
		example: []string{"svcauth member invite grace@example.com --first-name Grace --last-name Hopper " +
			`--role "Cluster viewer"`},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&body.FirstName, "first-name", "", "first name")
			flags.StringVar(&body.LastName, "last-name", "", "last name")
			flags.StringArrayVar(&roles, "role", nil, "role that the member gets, by id or name; may be repeated")
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			body.Email = args[0]
			if body.RoleIDs, err = s.roleIDs(ctx, roles); err != nil {
				return err
			}
			member, err := s.client.InviteMember(ctx, body)
			if err != nil {
				return err
			}
			return s.showMember(member)
		},
	}.command()
}

func updateMember() *cobra.Command {
	var first, last string
	return verb{
		use:     "update MEMBER",
		short:   "Change a member's names",
		choices: aboutMembers,
		example: []string{"svcauth member update ada@example.com --last-name King"},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&first, "first-name", "", "new first name")
			flags.StringVar(&last, "last-name", "", "new last name")
		},
		run: func(ctx context.Context, s *session, args []string) error {
			patch := svcauth.MemberPatch{
				FirstName: s.given("first-name", &first),
				LastName:  s.given("last-name", &last),
			}
			if patch == (svcauth.MemberPatch{}) {
				return wrongUsage("nothing to change: give --first-name or --last-name")
			}
			return s.changeMember(ctx, args[0], patch)
		},
	}.command()
}

func (s *session) changeMember(ctx context.Context, idOrEmail string, patch svcauth.MemberPatch) error {
	id, err := s.memberID(ctx, idOrEmail)
	if err != nil {
		return err
	}
	member, err := s.client.UpdateMember(ctx, id, 0, patch, 0)
	if err != nil {
		return err
	}
	return s.showMember(member)
}

func activateMember() *cobra.Command {
	return verb{
		use:     "activate MEMBER",
		short:   "Let a suspended member in again",
		choices: aboutMembers,
		example: []string{"svcauth member activate ada@example.com"},
		run: func(ctx context.Context, s *session, args []string) error {
			return s.changeMember(ctx, args[0], svcauth.MemberPatch{Suspended: new(false)})
		},
	}.command()
}

func suspendMember() *cobra.Command {
	var t removal
	return verb{
		use:     "suspend MEMBER",
		short:   "Suspend a member: its sessions and application keys end at once",
		choices: aboutMembers,
		example: []string{"svcauth member suspend ada@example.com --yes"},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			id, err := t.confirmMember(ctx, s, args[0],
				"Suspend %s? Sessions and application keys end at once, and whatever uses these keys is refused.")
			if err != nil {
				return err
			}
			member, err := s.client.UpdateMember(ctx, id, 0, svcauth.MemberPatch{Suspended: new(true)}, t.wait)
			if err != nil {
				return err
			}
			return s.showMember(member)
		},
	}.command()
}

func removeMember() *cobra.Command {
	var t removal
	return verb{
		use:     "remove MEMBER",
		aliases: []string{"delete", "rm"},
		short:   "Remove a member with its sessions and application keys; service accounts that it made live on",
		choices: aboutMembers,
		example: []string{"svcauth member remove ada@example.com --yes"},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			id, err := t.confirmMember(ctx, s, args[0],
				"Remove %s? Sessions and application keys end at once, and whatever uses these keys is refused.")
			if err != nil {
				return err
			}
			e, err := s.client.DeleteMember(ctx, id, t.wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Removed member %s.", called(args[0], id))
		},
	}.command()
}

func resetMember() *cobra.Command {
	var t removal
	return verb{
		use:     "reset MEMBER",
		short:   "Make a one-time link by which a member sets a new password; the present one stops working",
		choices: aboutMembers,
		example: []string{"svcauth member reset ada@example.com --yes"},
		flags:   t.yesFlag,
		run: func(ctx context.Context, s *session, args []string) error {
			id, err := t.confirmMember(ctx, s, args[0],
				"Reset the password of %s? The present one stops working, sessions and application keys end.")
			if err != nil {
				return err
			}
			member, err := s.client.ResetMember(ctx, id)
			if err != nil {
				return err
			}
			return s.showMember(member)
		},
	}.command()
}

// confirmMember finds the member and asks the question, which names the member
// at its %s. It returns the member's id if the answer is yes.
func (t *removal) confirmMember(ctx context.Context, s *session, idOrEmail, question string) (string, error) {
	id, err := s.memberID(ctx, idOrEmail)
	if err != nil {
		return "", err
	}
	return id, t.confirm(ctx, s, func() (string, error) {
		m, err := s.client.Member(ctx, id)
		who := fmt.Sprintf("member %s (%s, last signed in: %s)", clean(m.Email),
			clean(strings.TrimSpace(m.FirstName+" "+m.LastName)), agoOr(s.now(), m.LastSignInAt, "never"))
		return fmt.Sprintf(question, who), err
	})
}
