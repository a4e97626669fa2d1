package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// credentialRemoval is the verb that ends one of a service account's
// credentials, of whichever kind.
type credentialRemoval struct {
	noun     string // as the user reads it: "public key"
	argument string // what the usage calls it: "KEY"
	example  string
	choices  map[string]choices
	// question asks whether to end the credential id of an account, which the
	// user has called name.
	question func(ctx context.Context, s *session, name, account, id string, revoke bool) (string, error)
	remove   func(c *svcauth.Client, ctx context.Context, account, id string, revoke bool,
		wait time.Duration) (*svcauth.Enforcement, error)
}

func (r credentialRemoval) command() *cobra.Command {
	var t removal
	var revoke bool
	return verb{
		use:     "remove SERVICE-ACCOUNT " + r.argument,
		aliases: []string{"delete", "rm"},
		short:   "Remove a " + r.noun + "; with --revoke-tokens the tokens that it obtained die at once too",
		choices: r.choices,
		example: []string{r.example},
		flags: func(flags *pflag.FlagSet) {
			t.flags(flags)
			flags.BoolVar(&revoke, "revoke-tokens", false,
				"revoke the tokens that it obtained; else they live until they expire")
		},
		run: func(ctx context.Context, s *session, args []string) error {
			account, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			if err := t.confirm(ctx, s, func() (string, error) {
				return r.question(ctx, s, args[0], account, args[1], revoke)
			}); err != nil {
				return err
			}
			e, err := r.remove(s.client, ctx, account, args[1], revoke, t.wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Removed %s %s of service account %s.", r.noun, args[1], called(args[0], account))
		},
	}.command()
}

// credentialGet is the verb that shows one of a service account's credentials,
// of whichever kind.
type credentialGet[T any] struct {
	short, argument, example string
	choices                  map[string]choices
	get                      func(c *svcauth.Client, ctx context.Context, account, id string) (T, error)
	show                     func(*session, T) error
}

func (g credentialGet[T]) command() *cobra.Command {
	return verb{
		use:     "get SERVICE-ACCOUNT " + g.argument,
		aliases: []string{"show"},
		short:   g.short,
		choices: g.choices,
		example: []string{g.example},
		run: func(ctx context.Context, s *session, args []string) error {
			account, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			one, err := g.get(s.client, ctx, account, args[1])
			if err != nil {
				return err
			}
			return g.show(s, one)
		},
	}.command()
}
