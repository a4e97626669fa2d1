package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

var aboutSecrets = map[string]choices{"SERVICE-ACCOUNT": accountChoices, "SECRET": secretChoices}

func accountSecretCommand() *cobra.Command {
	return noun("secret", "A service account's secrets; up to 5 at once, so that one can be replaced with no downtime",
		[]string{"secrets"},
		listSecrets(), getSecret(), createSecret(), updateSecret(), deleteSecret())
}

func listSecrets() *cobra.Command {
	return listing[svcauth.SecretInfo]{whole: true,
		verb: verb{
			use:     "list SERVICE-ACCOUNT",
			aliases: []string{"ls"},
			short:   "List a service account's secrets: ids, hints and when they were used; never themselves",
			choices: aboutSecrets,
			example: []string{"svcauth service-account secret list deployer"},
		},
		page: func(ctx context.Context, s *session, args []string,
			_ svcauth.ListOptions) (found svcauth.List[svcauth.SecretInfo], err error) {
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return found, err
			}
			return s.client.Secrets(ctx, id)
		},
		columns: func(s *session) []column[svcauth.SecretInfo] {
			return []column[svcauth.SecretInfo]{
				{title: "ID", whole: true, cell: func(i svcauth.SecretInfo) string { return i.ID }},
				{title: "HINT", whole: true, cell: func(i svcauth.SecretInfo) string { return i.Hint }},
				{title: "MADE BY", cell: func(i svcauth.SecretInfo) string { return i.CreatedBy.Email }},
				{
					title: "LAST USED",
					whole: true,
					cell:  func(i svcauth.SecretInfo) string { return agoOr(s.now(), i.LastUsedAt, "never") },
				},
				{
					title: "EXPIRES",
					whole: true,
					cell:  func(i svcauth.SecretInfo) string { return agoOr(s.now(), i.ExpiresAt, "never") },
				},
				{title: "DESCRIPTION", cell: func(i svcauth.SecretInfo) string { return i.Description }},
			}
		},
		none: "No secrets: this account can get no token. Make one: svcauth service-account " +
			"secret create SERVICE-ACCOUNT",
	}.command()
}

// by returns who made something, if that is known.
func by(maker svcauth.Creator) string {
	if maker.Email == "" {
		return ""
	}
	return " by " + maker.Email
}

func (s *session) showSecret(i svcauth.SecretInfo) error {
	now := s.now()
	fields := []field{value("ID", i.ID), value("Hint", i.Hint), value("Description", i.Description),
		value("Created", stamp(now, &i.CreatedAt, "")+by(i.CreatedBy)),
		value("Expires", stamp(now, i.ExpiresAt, "never")), value("Last used", stamp(now, i.LastUsedAt, "never"))}
	if i.ClientSecret != "" {
		fields = append(fields, value("Client secret", i.ClientSecret.Reveal()))
	}
	if err := s.show(i, fields...); err != nil {
		return err
	}
	if i.ClientSecret != "" {
		s.hintShownOnce()
	}
	return nil
}

func getSecret() *cobra.Command {
	return credentialGet[svcauth.SecretInfo]{
		short:    "Show what is known of a secret; never itself",
		argument: "SECRET", choices: aboutSecrets, get: secretWithID,
		example: "svcauth service-account secret get deployer sec_01h455vb4pex5vsknk084sn02q",
		show:    (*session).showSecret,
	}.command()
}

// secretWithID finds a secret among those of its service account.
func secretWithID(c *svcauth.Client, ctx context.Context, account, id string) (svcauth.SecretInfo, error) {
	all, err := c.Secrets(ctx, account)
	for _, one := range all.Items {
		if one.ID == id {
			return one, nil
		}
	}
	if err == nil {
		err = svcauth.NewProblem(svcauth.CodeNotFound, "The service account has no secret %s.", id)
	}
	return svcauth.SecretInfo{}, err
}

func createSecret() *cobra.Command {
	var body svcauth.NewSecretRequest
	var expires, file string
	return verb{
		use:     "create SERVICE-ACCOUNT",
		short:   "Create a secret for a service account; it is shown once",
		choices: aboutSecrets,
		long: "To rotate: create the new secret, give it to the client, see in 'secret list' that it is used " +
			"and the old one is not, then remove the old one.",
		example: []string{"svcauth service-account secret create deployer " +
			`--description "2026 rotation" --expires-at 90d`},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&body.Description, "description", "", "what it is for")
			flags.StringVar(&expires, "expires-at", "",
				"when it ends: a time, a date or a duration such as 90d (default: never)")
			flags.StringVar(&file, "client-secret-file", "", "a file (- for standard input) with a secret that you "+
				"made, of the same form; it is not shown again")
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			if body.ExpiresAt, err = momentAhead("expires-at", expires, s.now()); err != nil {
				return err
			}
			if file != "" {
				if body.ClientSecret, err = s.secretFrom(ctx, file); err != nil {
					return err
				}
			}
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			secret, err := s.client.CreateSecret(ctx, id, body)
			if err != nil {
				return err
			}
			return s.showSecret(secret)
		},
	}.command()
}

// secretFrom reads a secret that the caller made. No error shows it.
func (s *session) secretFrom(ctx context.Context, file string) (svcauth.Secret, error) {
	var text string
	if file == "-" {
		var err error
		if text, err = s.readToken(ctx); err != nil {
			return "", err
		}
	} else {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the client secret: %w", err)
		}
		text = strings.TrimSpace(string(raw))
	}
	secret, err := svcauth.ParseSecret(text)
	if err != nil {
		return "", fmt.Errorf("--client-secret-file %s: %w", file, err)
	}
	return secret, nil
}

func updateSecret() *cobra.Command {
	var description, expires string
	var never bool
	return verb{
		use:     "update SERVICE-ACCOUNT SECRET",
		short:   "Change a secret's description or expiry",
		choices: aboutSecrets,
		example: []string{"svcauth service-account secret update deployer " +
			"sec_01h455vb4pex5vsknk084sn02q --expires-at 7d"},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&description, "description", "", "new description")
			flags.StringVar(&expires, "expires-at", "", "when it ends: a time, a date or a duration such as 7d")
			flags.BoolVar(&never, "no-expiry", false, "it shall not end by itself")
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			patch := svcauth.SecretPatch{Description: s.given("description", &description), ClearExpiresAt: never}
			if patch.ExpiresAt, err = momentAhead("expires-at", expires, s.now()); err != nil {
				return err
			}
			switch {
			case never && expires != "":
				return wrongUsage("--expires-at and --no-expiry exclude each other")
			case patch == (svcauth.SecretPatch{}):
				return wrongUsage("nothing to change: give --description, --expires-at or --no-expiry")
			}
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			secret, err := s.client.UpdateSecret(ctx, id, args[1], patch)
			if err != nil {
				return err
			}
			return s.showSecret(secret)
		},
	}.command()
}

func deleteSecret() *cobra.Command {
	return credentialRemoval{
		noun: "secret", argument: "SECRET", choices: aboutSecrets, remove: (*svcauth.Client).DeleteSecret,
		example: "svcauth service-account secret remove deployer sec_01h455vb4pex5vsknk084sn02q " +
			"--revoke-tokens --yes",
		question: func(ctx context.Context, s *session, name, account, id string, revoke bool) (string, error) {
			return s.secretQuestion(ctx, name, account, id, revoke)
		},
	}.command()
}

func (s *session) secretQuestion(ctx context.Context, account, id, secretID string, revoke bool) (string, error) {
	secrets, err := s.client.Secrets(ctx, id)
	if err != nil {
		return "", err
	}
	for _, secret := range secrets.Items {
		if secret.ID != secretID {
			continue
		}
		fate := s.liveTokens(ctx, id, secretID, "of it lives on until it expires", "of it live on until they expire")
		if revoke {
			fate = s.liveTokens(ctx, id, secretID, "of it dies at once", "of it die at once")
		}
		return fmt.Sprintf("Remove secret %s (...%s) of service account %s, %s? "+
			"Clients that use it get no token any more; %s. %s would be left.",
			secretID, secret.Hint, called(account, id),
			lastUsed(s.now(), secret.LastUsedAt), fate, counted(len(secrets.Items)-1, "secret")), nil
	}
	return "", fmt.Errorf("service account %s has no secret %s; 'svcauth service-account "+
		"secret list %s' shows those it has", called(account, id), clean(secretID), id)
}
