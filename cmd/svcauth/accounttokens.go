package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func accountTokensCommand() *cobra.Command {
	return noun("tokens", "A service account's live tokens: their records, for the tokens themselves are kept nowhere",
		[]string{"token"},
		listTokens(), revokeAccountToken(), revokeAccountTokens())
}

func listTokens() *cobra.Command {
	return listing[svcauth.LiveToken]{
		verb: verb{
			use:     "list SERVICE-ACCOUNT",
			aliases: []string{"ls"},
			short:   "List a service account's live tokens",
			choices: aboutAccounts,
			example: []string{"svcauth service-account tokens list deployer"},
		},
		page: func(ctx context.Context, s *session, args []string,
			o svcauth.ListOptions) (found svcauth.List[svcauth.LiveToken], err error) {
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return found, err
			}
			return s.client.Tokens(ctx, id, o)
		},
		columns: func(s *session) []column[svcauth.LiveToken] {
			return []column[svcauth.LiveToken]{
				{title: "JTI", whole: true, cell: func(t svcauth.LiveToken) string { return t.JTI }},
				{
					title: "ISSUED",
					whole: true,
					cell:  func(t svcauth.LiveToken) string { return ago(s.now(), t.IssuedAt) },
				},
				{
					title: "EXPIRES",
					whole: true,
					cell:  func(t svcauth.LiveToken) string { return ago(s.now(), t.ExpiresAt) },
				},
				{title: "IP", cell: func(t svcauth.LiveToken) string { return t.IP }},
				{title: "SCOPE", cell: func(t svcauth.LiveToken) string { return t.Scope }},
			}
		},
		none: "No live tokens.",
		partial: "There may be more: not every live token has a record. " +
			"`svcauth service-account tokens revoke-all` ends those too.",
	}.command()
}

func revokeAccountToken() *cobra.Command {
	var t removal
	return verb{
		use:     "revoke SERVICE-ACCOUNT JTI",
		short:   "Revoke one token by its jti",
		choices: aboutAccounts,
		long:    "A jti that begins with a dash goes after --.",
		example: []string{"svcauth service-account tokens revoke --yes deployer -- 4Q2tq0kcTfOGbyXlJbvJ5g"},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			if err := t.confirm(ctx, s, func() (string, error) {
				return fmt.Sprintf("Revoke token %s of service account %s? Whoever uses it is refused at once, "+
					"and can ask for another.", clean(args[1]), called(args[0], id)), nil
			}); err != nil {
				return err
			}
			e, err := s.client.RevokeToken(ctx, id, args[1], t.wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Revoked token %s of service account %s.", clean(args[1]), called(args[0], id))
		},
	}.command()
}

func revokeAccountTokens() *cobra.Command {
	var t removal
	return verb{
		use:     "revoke-all SERVICE-ACCOUNT",
		short:   "Revoke every token issued to a service account so far; its secrets stay good",
		choices: aboutAccounts,
		example: []string{"svcauth service-account tokens revoke-all deployer --yes --wait 2s"},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			id, err := t.confirmAccount(ctx, s, args[0], "Revoke all tokens of", "")
			if err != nil {
				return err
			}
			e, err := s.client.RevokeTokens(ctx, id, t.wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Revoked every token issued to service account %s so far.",
				called(args[0], id))
		},
	}.command()
}
