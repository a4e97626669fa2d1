package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func accountRoleCommand() *cobra.Command {
	return noun("role", "The roles that a service account holds", []string{"roles"}, listAccountRoles(), assignAccountRole(), unassignAccountRole())
}

func listAccountRoles() *cobra.Command {
	return listing[svcauth.Grant]{
		verb: verb{use: "list SERVICE-ACCOUNT", aliases: []string{"ls"}, short: "List the roles that a service account holds", choices: aboutAccounts,
			example: []string{"svcauth service-account role list deployer"}},
		page: func(ctx context.Context, s *session, args []string, o svcauth.ListOptions) (found svcauth.List[svcauth.Grant], err error) {
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return found, err
			}
			return s.client.ServiceAccountRoles(ctx, id, o)
		},
		columns: func(s *session) []column[svcauth.Grant] {
			return []column[svcauth.Grant]{
				{title: "NAME", cell: func(g svcauth.Grant) string { return g.Name }},
				{title: "ID", whole: true, cell: func(g svcauth.Grant) string { return g.RoleID }},
				{title: "GRANTED", whole: true, cell: func(g svcauth.Grant) string { return ago(s.now(), g.GrantedAt) }},
				{title: "EXPIRES", whole: true, cell: func(g svcauth.Grant) string { return agoOr(s.now(), g.ExpiresAt, "never") }},
			}
		},
		none: "No roles: its tokens carry no privileges. Give it one: svcauth service-account role assign SERVICE-ACCOUNT ROLE",
	}.command()
}

func assignAccountRole() *cobra.Command {
	var expires string
	return verb{use: "assign SERVICE-ACCOUNT ROLE", short: "Give a role to a service account, for good or until a moment", choices: map[string]choices{"SERVICE-ACCOUNT": accountChoices, "ROLE": roleChoices},
		long: "Given again, it sets the new expiry. When a grant expires, live tokens lose what it gave. One can give only what one holds.",
		example: []string{`svcauth service-account role assign deployer "Cluster viewer"`,
			`svcauth service-account role assign deployer "Cluster viewer" --expires-at 12h`},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&expires, "expires-at", "", "when it ends: a time, a date or a duration such as 12h (default: never)")
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			var body svcauth.GrantRequest
			if body.ExpiresAt, err = momentAhead("expires-at", expires, s.now()); err != nil {
				return err
			}
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			roleID, err := s.roleID(ctx, args[1])
			if err != nil {
				return err
			}
			answer, err := s.client.AssignServiceAccountRole(ctx, id, roleID, body)
			if err != nil {
				return err
			}
			s.say("Service account %s holds role %s, until it expires: %s.", id, roleID, stamp(s.now(), body.ExpiresAt, "never"))
			s.warn(answer.Warnings, 0)
			s.warnOfSize(answer.Oversized)
			if s.json && len(answer.Warnings)+len(answer.Oversized) > 0 {
				return writeJSON(s.out, answer)
			}
			return nil
		}}.command()
}

// warnOfSize names accounts whose tokens would be too long.
func (s *session) warnOfSize(warnings []svcauth.SizeWarning) {
	for _, w := range warnings {
		s.hint("Warning: %s", clean(w.String()))
	}
}

// warn names secrets whose makers lack what was just granted, and how to end
// them; to standard error, so that it is seen with -o json too.
func (s *session) warn(warnings []svcauth.SecretWarning, more int) {
	for _, w := range warnings {
		s.hint("Warning: %s\n  svcauth service-account secret delete %s %s", clean(w.String()), w.ServiceAccount.ID, w.SecretID)
	}
	if more > 0 {
		s.hint("Warning: the same holds for %s that are not named here; the console's pages of the accounts name them.", counted(more, "secret"))
	}
}

func unassignAccountRole() *cobra.Command {
	var t taking
	return verb{use: "unassign SERVICE-ACCOUNT ROLE", short: "Take a role from a service account; its tokens that carry the role die at once", choices: map[string]choices{"SERVICE-ACCOUNT": accountChoices, "ROLE": heldRoleChoices},
		example: []string{`svcauth service-account role unassign deployer "Cluster operator" --yes`}, flags: t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			roleID, err := s.roleID(ctx, args[1])
			if err != nil {
				return err
			}
			return s.withAccount(ctx, args[0], &t, fmt.Sprintf("Take role \"%s\" from", clean(args[1])), " as far as it carries the role", func(id string) error {
				e, err := s.client.UnassignServiceAccountRole(ctx, id, roleID, "", t.wait)
				if err != nil {
					return err
				}
				return s.taken(e, "Took role %s from service account %s.", roleID, id)
			})
		}}.command()
}

func accountTokensCommand() *cobra.Command {
	return noun("tokens", "A service account's live tokens: their records, for the tokens themselves are kept nowhere", []string{"token"},
		listTokens(), revokeAccountToken(), revokeAccountTokens())
}

func listTokens() *cobra.Command {
	return listing[svcauth.LiveToken]{
		verb: verb{use: "list SERVICE-ACCOUNT", aliases: []string{"ls"}, short: "List a service account's live tokens", choices: aboutAccounts,
			example: []string{"svcauth service-account tokens list deployer"}},
		page: func(ctx context.Context, s *session, args []string, o svcauth.ListOptions) (found svcauth.List[svcauth.LiveToken], err error) {
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return found, err
			}
			return s.client.Tokens(ctx, id, o)
		},
		columns: func(s *session) []column[svcauth.LiveToken] {
			return []column[svcauth.LiveToken]{
				{title: "JTI", whole: true, cell: func(t svcauth.LiveToken) string { return t.JTI }},
				{title: "ISSUED", whole: true, cell: func(t svcauth.LiveToken) string { return ago(s.now(), t.IssuedAt) }},
				{title: "EXPIRES", whole: true, cell: func(t svcauth.LiveToken) string { return ago(s.now(), t.ExpiresAt) }},
				{title: "IP", cell: func(t svcauth.LiveToken) string { return t.IP }},
				{title: "SCOPE", cell: func(t svcauth.LiveToken) string { return t.Scope }},
			}
		},
		none:    "No live tokens.",
		partial: "There may be more: not every live token has a record. `svcauth service-account tokens revoke-all` ends those too.",
	}.command()
}

func revokeAccountToken() *cobra.Command {
	var t taking
	return verb{use: "revoke SERVICE-ACCOUNT JTI", short: "Revoke one token by its jti", choices: aboutAccounts,
		long:    "A jti that begins with a dash goes after --.",
		example: []string{"svcauth service-account tokens revoke --yes deployer -- 4Q2tq0kcTfOGbyXlJbvJ5g"}, flags: t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			if err := t.confirm(ctx, s, func() (string, error) {
				return fmt.Sprintf("Revoke token %s? Whoever uses it is refused at once, and can ask for another.", clean(args[1])), nil
			}); err != nil {
				return err
			}
			e, err := s.client.RevokeToken(ctx, id, args[1], t.wait)
			if err != nil {
				return err
			}
			return s.taken(e, "Revoked token %s.", args[1])
		}}.command()
}

func revokeAccountTokens() *cobra.Command {
	var t taking
	return verb{use: "revoke-all SERVICE-ACCOUNT", short: "Revoke every token issued to a service account so far; its secrets stay good", choices: aboutAccounts,
		example: []string{"svcauth service-account tokens revoke-all deployer --yes --wait 2s"}, flags: t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			return s.withAccount(ctx, args[0], &t, "Revoke all tokens of", "", func(id string) error {
				e, err := s.client.RevokeTokens(ctx, id, t.wait)
				if err != nil {
					return err
				}
				return s.taken(e, "Revoked every token issued to service account %s so far.", id)
			})
		}}.command()
}
