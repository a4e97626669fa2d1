package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func serviceAccountCommand() *cobra.Command {
	return noun("service-account", "Service accounts: machine identities, with their secrets, roles and live tokens",
		[]string{"service-accounts", "sa"},
		listAccounts(), getAccount(), createAccount(), updateAccount(), disableAccount(), enableAccount(),
		deleteAccount(),
		accountSecretCommand(), accountKeyCommand(), accountFederatedCommand(), accountCertificateCommand(),
		accountHolders.roleCommand(unassignAccountRole()), accountTokensCommand())
}

var aboutAccounts = map[string]choices{
	"SERVICE-ACCOUNT": accountChoices, "role": roleChoices, "default-resource": apiChoices,
}

func listAccounts() *cobra.Command {
	var name string
	return listing[svcauth.ServiceAccount]{
		sorts: &sorting[svcauth.ServiceAccount]{
			names: "name, created (the newest first) or last-used (the longest unused first)",
			orders: map[string]func(a, b svcauth.ServiceAccount) int{
				"name": func(a, b svcauth.ServiceAccount) int {
					return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
				},
				"created":   func(a, b svcauth.ServiceAccount) int { return b.CreatedAt.Compare(a.CreatedAt) },
				"last-used": func(a, b svcauth.ServiceAccount) int { return byMoment(a.LastUsedAt, b.LastUsedAt) },
			},
			used: func(a svcauth.ServiceAccount) (time.Time, *time.Time) { return a.CreatedAt, a.LastUsedAt },
		},
		verb: verb{
			use:     "list",
			aliases: []string{"ls"},
			short:   "List service accounts, newest first",
			choices: map[string]choices{"sort": fixed("name", "created", "last-used")},
			example: []string{"svcauth service-account list",
				"svcauth service-account list --name deploy --all -o json",
				"svcauth service-account list --unused-for 90d --sort last-used"},
			flags: func(flags *pflag.FlagSet) {
				flags.StringVar(&name, "name", "", "only those whose name begins with it")
			},
		},
		page: func(ctx context.Context, s *session, _ []string,
			o svcauth.ListOptions) (svcauth.List[svcauth.ServiceAccount], error) {
			o.Name = name
			return s.client.ServiceAccounts(ctx, o)
		},
		columns: func(s *session) []column[svcauth.ServiceAccount] {
			return []column[svcauth.ServiceAccount]{
				{title: "NAME", cell: func(a svcauth.ServiceAccount) string { return a.Name }},
				{title: "ID", whole: true, cell: func(a svcauth.ServiceAccount) string { return a.ID }},
				{
					title: "ROLES",
					cell:  func(a svcauth.ServiceAccount) string { return strings.Join(refNames(a.Roles), ", ") },
				},
				{
					title: "LAST USED",
					whole: true,
					cell:  func(a svcauth.ServiceAccount) string { return agoOr(s.now(), a.LastUsedAt, "never") },
				},
				{title: "STATE", whole: true, cell: accountState},
				{
					title: "CREATED",
					wide:  true,
					cell:  func(a svcauth.ServiceAccount) string { return stamp(s.now(), &a.CreatedAt, "") },
				},
				{
					title: "CREATED BY",
					wide:  true,
					cell:  func(a svcauth.ServiceAccount) string { return a.CreatedBy.Email },
				},
				{
					title: "DESCRIPTION",
					wide:  true,
					cell:  func(a svcauth.ServiceAccount) string { return orElse(a.Description, "-") },
				},
			}
		},
		none: "No service accounts. Make one: svcauth service-account create NAME",
	}.command()
}

func accountState(a svcauth.ServiceAccount) string {
	if a.Disabled {
		return "disabled"
	}
	return "enabled"
}

func refNames(refs []svcauth.Ref) []string {
	names := make([]string, len(refs))
	for i, ref := range refs {
		names[i] = ref.Name
	}
	return names
}

func getAccount() *cobra.Command {
	return verb{use: "get SERVICE-ACCOUNT", short: "Show one service account, by id or name", choices: aboutAccounts,
		example: []string{"svcauth service-account get deployer"},
		run: func(ctx context.Context, s *session, args []string) error {
			account, err := s.account(ctx, args[0])
			if err != nil {
				return err
			}
			return s.showAccount(account)
		}}.command()
}

func (s *session) showAccount(a svcauth.ServiceAccount) error {
	now := s.now()
	secrets := make([]string, len(a.Secrets))
	for i, secret := range a.Secrets {
		secrets[i] = fmt.Sprintf("%s ...%s, used %s, expires %s", secret.ID, secret.Hint,
			agoOr(now, secret.LastUsedAt, "never"), agoOr(now, secret.ExpiresAt, "never"))
	}
	fields := []field{
		value("Name", a.Name), value("ID", a.ID), value("Client ID", a.ClientID), value("Description", a.Description),
		value("State", accountState(a)),
		value("Token lifetime", timespan.Text(time.Duration(a.TokenTTLSeconds)*time.Second)),
		value("Token binding", a.TokenBinding),
		value("Default resource", a.DefaultResource), value("Claims", claimLines(a.Claims)...),
		value("Roles", refNames(a.Roles)...), value("Secrets", secrets...),
		value("Created", stamp(now, &a.CreatedAt, "")+" by "+a.CreatedBy.Email),
		value("Last used", stamp(now, a.LastUsedAt, "never")),
	}
	if a.LastRefused != nil {
		fields = append(fields, value("Last refused", refusalText(*a.LastRefused)))
	}
	if a.ClientSecret != "" {
		fields = append(fields, value("Client secret", a.ClientSecret.Reveal()))
	}
	if err := s.show(a, fields...); err != nil {
		return err
	}
	if a.ClientSecret != "" {
		s.hintShownOnce()
	}
	s.warn(a.Warnings, 0)
	s.warnOfDefault(a.DefaultRefused)
	s.reportEnforcement(a.Enforcement)
	return nil
}

func (s *session) hintShownOnce() {
	s.hint("The client secret is shown this once and can't be had again: keep it now.")
}

func disableAccount() *cobra.Command {
	var t removal
	return verb{
		use:     "disable SERVICE-ACCOUNT",
		short:   "Disable a service account: no new tokens, and the live ones die at once",
		choices: aboutAccounts,
		example: []string{"svcauth service-account disable deployer --yes --wait 2s"},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			id, err := t.confirmAccount(ctx, s, args[0], "Disable", "")
			if err != nil {
				return err
			}
			account, err := s.client.UpdateServiceAccount(ctx, id, 0, svcauth.ServiceAccountPatch{
				Disabled: new(true),
			}, t.wait)
			if err != nil {
				return err
			}
			return s.showAccount(account)
		},
	}.command()
}

func enableAccount() *cobra.Command {
	var t removal
	return verb{
		use:     "enable SERVICE-ACCOUNT",
		short:   "Enable a disabled service account; its old tokens stay dead",
		choices: aboutAccounts,
		long:    asksFirst,
		example: []string{"svcauth service-account enable deployer"},
		flags:   t.yesFlag,
		run: func(ctx context.Context, s *session, args []string) error {
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			return t.updateAccount(ctx, s, id, svcauth.ServiceAccountPatch{Disabled: new(false)})
		},
	}.command()
}

func deleteAccount() *cobra.Command {
	var t removal
	return verb{
		use:     "remove SERVICE-ACCOUNT",
		aliases: []string{"delete", "rm"},
		short:   "Remove a service account with its secrets; its live tokens die at once",
		choices: aboutAccounts,
		example: []string{"svcauth service-account remove deployer --yes"},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			id, err := t.confirmAccount(ctx, s, args[0], "Remove", "")
			if err != nil {
				return err
			}
			e, err := s.client.DeleteServiceAccount(ctx, id, t.wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Removed service account %s.", called(args[0], id))
		},
	}.command()
}

// confirmAccount finds the account and asks whether to do what to it. It
// returns the account's id if the answer is yes. condition, if not empty, says
// which of its tokens are revoked.
func (t *removal) confirmAccount(ctx context.Context, s *session, idOrName, what, condition string) (string, error) {
	id, err := s.accountID(ctx, idOrName)
	if err != nil {
		return "", err
	}
	return id, t.confirm(ctx, s, func() (string, error) {
		account, err := s.client.ServiceAccount(ctx, id)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s service account \"%s\" (%s)? %s at once%s; it was %s.", what, clean(account.Name), id,
			s.liveTokens(ctx, id, "", "dies", "die"), condition,
			lastUsed(s.now(), account.LastUsedAt)), nil
	})
}

// liveTokens counts an account's live tokens for a question: "3 live tokens
// die", or "1 live token dies". If secretID is set, it counts those of one
// secret.
func (s *session) liveTokens(ctx context.Context, id, secretID, oneDoes, manyDo string) string {
	n, atLeast := 0, ""
	tokens := func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.LiveToken], error) {
		page, err := s.client.Tokens(ctx, id, o)
		if page.Partial {
			atLeast = "at least "
		}
		return page, err
	}
	for token, err := range svcauth.All(ctx, tokens, svcauth.ListOptions{}) {
		if err != nil {
			return "its live tokens (how many is not known now) " + manyDo
		}
		if secretID == "" || token.SecretID == secretID {
			n++
		}
	}
	if n == 1 && atLeast == "" {
		return "1 live token " + oneDoes
	}
	return atLeast + counted(n, "live token") + " " + manyDo
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
