package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// holders describes a kind of principal that holds roles, to the commands about
// its grants.
type holders struct {
	argument, what, noun, example string // SERVICE-ACCOUNT, service account, service-account, deployer
	none                          string // what a list without roles means
	choices                       choices
	id                            func(s *session, ctx context.Context, text string) (string, error)
	list                          func(c *svcauth.Client, ctx context.Context, id string,
		o svcauth.ListOptions) (svcauth.List[svcauth.Grant], error)
	assign func(c *svcauth.Client, ctx context.Context, id, roleID string, r svcauth.GrantRequest) (svcauth.GrantAnswer,
		error)
}

var (
	accountHolders = holders{
		argument: "SERVICE-ACCOUNT",
		what:     "service account",
		noun:     "service-account",
		example:  "deployer",
		none:     "No roles: its tokens carry no privileges.",
		choices:  accountChoices,
		id:       (*session).accountID,
		list:     (*svcauth.Client).ServiceAccountRoles,
		assign:   (*svcauth.Client).AssignServiceAccountRole,
	}
	memberHolders = holders{argument: "MEMBER", what: "member", noun: "member", example: "ada@example.com",
		none: "No roles: the member can see and change nothing.", choices: memberChoices, id: (*session).memberID,
		list: (*svcauth.Client).MemberRoles, assign: (*svcauth.Client).AssignMemberRole}
)

// roleCommand groups the commands about the roles of such a principal.
func (h holders) roleCommand(unassign *cobra.Command) *cobra.Command {
	return noun("role", "The roles that a "+h.what+" holds", []string{"roles"}, h.listRoles(), h.assignRole(), unassign)
}

// about completes the arguments of a command about such a principal and a role.
func (h holders) about(roles choices) map[string]choices {
	return map[string]choices{h.argument: h.choices, "ROLE": roles}
}

// heldRoles returns the names of the roles that the first argument holds.
func (h holders) heldRoles(ctx context.Context, s *session, args []string, _ string) ([]string, error) {
	id, err := h.id(s, ctx, args[0])
	if err != nil {
		return nil, err
	}
	grants, err := h.list(s.client, ctx, id, svcauth.ListOptions{})
	out := make([]string, 0, len(grants.Items))
	for _, grant := range grants.Items {
		out = append(out, grant.Name)
	}
	return out, err
}

func (h holders) listRoles() *cobra.Command {
	return listing[svcauth.Grant]{
		verb: verb{
			use:     "list " + h.argument,
			aliases: []string{"ls"},
			short:   "List the roles that a " + h.what + " holds",
			choices: h.about(nil),
			example: []string{"svcauth " + h.noun + " role list " + h.example},
		},
		page: func(ctx context.Context, s *session, args []string,
			o svcauth.ListOptions) (found svcauth.List[svcauth.Grant], err error) {
			id, err := h.id(s, ctx, args[0])
			if err != nil {
				return found, err
			}
			return h.list(s.client, ctx, id, o)
		},
		columns: func(s *session) []column[svcauth.Grant] {
			return []column[svcauth.Grant]{
				{title: "NAME", cell: func(g svcauth.Grant) string { return g.Name }},
				{title: "ID", whole: true, cell: func(g svcauth.Grant) string { return g.RoleID }},
				{
					title: "GRANTED",
					whole: true,
					cell:  func(g svcauth.Grant) string { return ago(s.now(), g.GrantedAt) },
				},
				{
					title: "EXPIRES",
					whole: true,
					cell:  func(g svcauth.Grant) string { return agoOr(s.now(), g.ExpiresAt, "never") },
				},
			}
		},
		none: h.none + " Assign one: svcauth " + h.noun + " role assign " + h.argument + " ROLE",
	}.command()
}

func (h holders) assignRole() *cobra.Command {
	var expires string
	var t removal
	return verb{
		use:     "assign " + h.argument + " ROLE",
		short:   "Assign a role to a " + h.what + ", for good or until a moment",
		choices: h.about(roleChoices),
		long: "Given again, it sets the new expiry. When a grant expires, live tokens lose what it gave. " +
			"One can give only what one holds, and for no longer. " + asksFirst,
		example: []string{"svcauth " + h.noun + " role assign " + h.example + ` "Cluster viewer"`,
			"svcauth " + h.noun + " role assign " + h.example + ` "Cluster viewer" --expires-at 12h`},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&expires, "expires-at", "",
				"when it ends: a time, a date or a duration such as 12h (default: never)")
			t.yesFlag(flags)
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			var body svcauth.GrantRequest
			if body.ExpiresAt, err = momentAhead("expires-at", expires, s.now()); err != nil {
				return err
			}
			id, err := h.id(s, ctx, args[0])
			if err != nil {
				return err
			}
			roleID, err := s.roleID(ctx, args[1])
			if err != nil {
				return err
			}
			var answer svcauth.GrantAnswer
			if err := t.cautiously(ctx, s, func(c svcauth.Caution) (err error) {
				body.Caution = c
				answer, err = h.assign(s.client, ctx, id, roleID, body)
				return err
			}); err != nil {
				return err
			}
			s.say("%s %s holds role %s, until it expires: %s.", strings.ToUpper(h.what[:1])+h.what[1:],
				called(args[0], id), called(args[1], roleID), stamp(s.now(), body.ExpiresAt, "never"))
			s.warn(answer.Warnings, 0)
			s.warnOfDefault(answer.DefaultRefused)
			if s.json && len(answer.Warnings)+len(answer.DefaultRefused) > 0 {
				return writeJSON(s.out, answer)
			}
			return nil
		},
	}.command()
}

// warnOfDefault warns of accounts whose requests without scope and resource are
// refused.
func (s *session) warnOfDefault(warnings []svcauth.DefaultWarning) {
	for _, w := range warnings {
		s.hint("Warning: %s", clean(w.String()))
	}
}

// warn names credentials whose makers lack what was just granted, and says how
// to end them. It prints to standard error, so it is seen with -o json too.
func (s *session) warn(warnings []svcauth.CredentialWarning, more int) {
	for _, w := range warnings {
		noun := strings.TrimSuffix(svcauth.CredentialPath(w.Kind), "s")
		s.hint("Warning: %s\n  svcauth service-account %s remove %s %s", clean(w.String()), noun, w.ServiceAccount.ID,
			w.CredentialID)
	}
	if more > 0 {
		s.hint("Warning: the same holds for %s that are not named here; the console's pages of the accounts name them.",
			counted(more, "credential"))
	}
}

func unassignAccountRole() *cobra.Command {
	var t removal
	return verb{
		use:     "unassign SERVICE-ACCOUNT ROLE",
		short:   "Unassign a role from a service account; its tokens that carry the role die at once",
		choices: accountHolders.about(accountHolders.heldRoles),
		example: []string{`svcauth service-account role unassign deployer "Cluster operator" --yes`},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			roleID, err := s.roleID(ctx, args[1])
			if err != nil {
				return err
			}
			id, err := t.confirmAccount(ctx, s, args[0], fmt.Sprintf("Unassign role \"%s\" from", clean(args[1])),
				" as far as it carries the role")
			if err != nil {
				return err
			}
			e, err := s.client.UnassignServiceAccountRole(ctx, id, roleID, "", t.wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Unassigned role %s from service account %s.", called(args[1], roleID),
				called(args[0], id))
		},
	}.command()
}

func unassignMemberRole() *cobra.Command {
	var t removal
	return verb{
		use:     "unassign MEMBER ROLE",
		short:   "Unassign a role from a member; its application keys' tokens that carry the role die at once",
		choices: memberHolders.about(memberHolders.heldRoles),
		example: []string{`svcauth member role unassign ada@example.com "Cluster operator" --yes`},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			roleID, err := s.roleID(ctx, args[1])
			if err != nil {
				return err
			}
			question := "Unassign role \"" + strings.ReplaceAll(clean(args[1]), "%", "%%") +
				"\" from %s? The application keys' tokens that carry it die at once."
			id, err := t.confirmMember(ctx, s, args[0], question)
			if err != nil {
				return err
			}
			e, err := s.client.UnassignMemberRole(ctx, id, roleID, "", t.wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Unassigned role %s from member %s.", called(args[1], roleID),
				called(args[0], id))
		},
	}.command()
}
