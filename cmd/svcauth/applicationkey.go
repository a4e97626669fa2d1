package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func applicationKeyCommand() *cobra.Command {
	return noun("application-key", "Application keys: clients that act as the member who made them, with its roles",
		[]string{"application-keys", "ak"},
		listKeys(), getKey(), createKey(), deleteKey())
}

var aboutKeys = map[string]choices{"APPLICATION-KEY": keyChoices, "member": memberChoices,
	"sort": fixed("created", "last-used")}

func listKeys() *cobra.Command {
	var member string
	return listing[svcauth.ApplicationKey]{
		sorts: &sorting[svcauth.ApplicationKey]{
			names: "created (the newest first) or last-used (the longest unused first)",
			orders: map[string]func(a, b svcauth.ApplicationKey) int{
				"created":   func(a, b svcauth.ApplicationKey) int { return b.CreatedAt.Compare(a.CreatedAt) },
				"last-used": func(a, b svcauth.ApplicationKey) int { return byMoment(a.LastUsedAt, b.LastUsedAt) },
			},
			used: func(k svcauth.ApplicationKey) (time.Time, *time.Time) { return k.CreatedAt, k.LastUsedAt },
		},
		verb: verb{
			use:     "list",
			aliases: []string{"ls"},
			short:   "List your application keys, newest first, or those of a member",
			choices: aboutKeys,
			example: []string{"svcauth application-key list", "svcauth application-key list --member ada@example.com"},
			flags: func(flags *pflag.FlagSet) {
				flags.StringVar(&member, "member", "",
					"the member whose keys are meant, by id or e-mail address (needs members:manage)")
			},
		},
		page: func(ctx context.Context, s *session, _ []string,
			o svcauth.ListOptions) (_ svcauth.List[svcauth.ApplicationKey], err error) {
			if member != "" {
				if o.Member, err = s.memberID(ctx, member); err != nil {
					return svcauth.List[svcauth.ApplicationKey]{}, err
				}
			}
			return s.client.ApplicationKeys(ctx, o)
		},
		columns: func(s *session) []column[svcauth.ApplicationKey] {
			return []column[svcauth.ApplicationKey]{
				{title: "ID", whole: true, cell: func(k svcauth.ApplicationKey) string { return k.ID }},
				{title: "DESCRIPTION", cell: func(k svcauth.ApplicationKey) string { return k.Description }},
				{title: "HINT", whole: true, cell: func(k svcauth.ApplicationKey) string { return k.Secret.Hint }},
				{
					title: "CREATED",
					whole: true,
					cell:  func(k svcauth.ApplicationKey) string { return ago(s.now(), k.CreatedAt) },
				},
				{
					title: "LAST USED",
					whole: true,
					cell:  func(k svcauth.ApplicationKey) string { return agoOr(s.now(), k.LastUsedAt, "never") },
				},
			}
		},
		none: "No application keys. Make one: svcauth application-key create --description WHAT-FOR",
	}.command()
}

func getKey() *cobra.Command {
	return verb{
		use:     "get APPLICATION-KEY",
		short:   "Show an application key, by its id: one of yours, or with members:manage any",
		choices: aboutKeys,
		example: []string{"svcauth application-key get ak_01h455vb4pex5vsknk084sn02q"},
		run: func(ctx context.Context, s *session, args []string) error {
			key, err := s.client.ApplicationKey(ctx, args[0])
			if err != nil {
				return err
			}
			return s.showKey(key)
		},
	}.command()
}

func (s *session) showKey(k svcauth.ApplicationKey) error {
	fields := []field{value("ID", k.ID), value("Client ID", k.ClientID), value("Description", k.Description),
		value("Acts as", k.Member.Email), value("Hint", k.Secret.Hint),
		value("Created", stamp(s.now(), &k.CreatedAt, "")), value("Last used", stamp(s.now(), k.LastUsedAt, "never"))}
	if k.ClientSecret != "" {
		fields = append(fields, value("Client secret", k.ClientSecret.Reveal()))
	}
	if err := s.show(k, fields...); err != nil {
		return err
	}
	if k.ClientSecret != "" {
		s.hintShownOnce()
	}
	s.warnOfDefault(k.DefaultRefused)
	return nil
}

func createKey() *cobra.Command {
	var body svcauth.NewApplicationKey
	var t removal
	return verb{
		use:     "create",
		short:   "Create an application key of yours; its secret is shown once",
		example: []string{`svcauth application-key create --description "My laptop"`},
		long: "It acts with the roles that you hold at the moment of each token request, and ends when your " +
			"password is set or reset, and when you are suspended or removed. " + asksFirst,
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&body.Description, "description", "", "what it is for")
			t.yesFlag(flags)
		},
		run: func(ctx context.Context, s *session, _ []string) error {
			var key svcauth.ApplicationKey
			if err := t.cautiously(ctx, s, func(c svcauth.Caution) (err error) {
				body.Caution = c
				key, err = s.client.CreateApplicationKey(ctx, body)
				return err
			}); err != nil {
				return err
			}
			return s.showKey(key)
		},
	}.command()
}

func deleteKey() *cobra.Command {
	var t removal
	return verb{
		use:     "remove APPLICATION-KEY",
		aliases: []string{"delete", "rm"},
		short:   "Remove an application key, one of yours or with members:manage any; its tokens die at once",
		choices: aboutKeys,
		example: []string{"svcauth application-key remove ak_01h455vb4pex5vsknk084sn02q --yes"},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			if err := t.confirm(ctx, s, func() (string, error) {
				key, err := s.client.ApplicationKey(ctx, args[0])
				own := ""
				if key.ClientID == s.config.ClientID {
					own = " It is the one that this command uses: you will need another."
				}
				return fmt.Sprintf("Remove application key %s (%s) of %s, %s? Its tokens die at once.%s", args[0],
					clean(key.Description), clean(key.Member.Email), lastUsed(s.now(), key.LastUsedAt), own), err
			}); err != nil {
				return err
			}
			e, err := s.client.DeleteApplicationKey(ctx, args[0], t.wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Removed application key %s.", args[0])
		},
	}.command()
}
