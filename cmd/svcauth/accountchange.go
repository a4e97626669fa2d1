package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func createAccount() *cobra.Command {
	var body svcauth.NewServiceAccount
	var roles []string
	var ttl time.Duration
	var expires string
	var bare bool
	var tokens accountTokenFlags
	var t removal
	return verb{
		use:     "create NAME",
		short:   "Create a service account with one secret, which is shown once, or with none",
		choices: aboutAccounts,
		long:    asksFirst,
		example: []string{"svcauth service-account create backup",
			`svcauth service-account create nightly --role "Cluster viewer" --description "Nightly report" ` +
				"--token-ttl 15m --secret-expires-at 90d",
			"svcauth service-account create ci --no-secret --default-resource https://api.cloud.example"},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&body.Description, "description", "", "what it is for")
			flags.StringArrayVar(&roles, "role", nil, "role that it gets, by id or name; may be repeated")
			flags.DurationVar(&ttl, "token-ttl", 0, "lifetime of its tokens, 1m to 24h (default: the server's)")
			flags.StringVar(&expires, "secret-expires-at", "",
				"when its secret ends: a time, a date or a duration such as 90d (default: never)")
			flags.StringVar(&body.TokenBinding, "token-binding", "", aboutBinding+" (default: none)")
			tokens.add(flags, "")
			flags.BoolVar(&bare, "no-secret", false,
				"make it without a secret; add a credential of another kind afterwards")
			t.yesFlag(flags)
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			body.Name = args[0]
			if bare {
				if expires != "" {
					return wrongUsage("--no-secret makes no secret that --secret-expires-at could end: leave one out")
				}
				body.Secret = new(false)
			}
			if body.TokenTTLSeconds, err = lifetime(ttl); err != nil {
				return err
			}
			if body.SecretExpiresAt, err = momentAhead("secret-expires-at", expires, s.now()); err != nil {
				return err
			}
			if body.RoleIDs, err = s.roleIDs(ctx, roles); err != nil {
				return err
			}
			body.DefaultResource = tokens.resource
			if body.Claims, _, err = tokens.values(s); err != nil {
				return err
			}
			var account svcauth.ServiceAccount
			if err := t.cautiously(ctx, s, func(c svcauth.Caution) (err error) {
				body.Caution = c
				account, err = s.client.CreateServiceAccount(ctx, body)
				return err
			}); err != nil {
				return err
			}
			return s.showAccount(account)
		},
	}.command()
}

// lifetime returns d in whole seconds, which is what the API expects.
func lifetime(ttl time.Duration) (int, error) {
	if ttl%time.Second != 0 || ttl < 0 {
		return 0, wrongUsage("--token-ttl %s: expected whole seconds, 1m to 24h", timespan.Text(ttl))
	}
	return int(ttl / time.Second), nil
}

// momentAhead is like moment, for a flag that may be omitted.
func momentAhead(flag, text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	at, err := moment(flag, text, now, 1)
	return &at, err
}

// aboutBinding is the help of --token-binding.
const aboutBinding = "what its tokens must be bound to: none, any, dpop (the key of a proof) or mtls (a certificate)"

func updateAccount() *cobra.Command {
	var name, description, binding string
	var ttl time.Duration
	var tokens accountTokenFlags
	var t removal
	return verb{
		use:     "update SERVICE-ACCOUNT",
		short:   "Change a service account's name, description or tokens",
		choices: aboutAccounts,
		long:    asksFirst,
		example: []string{`svcauth service-account update deployer --description "Deploys clusters" --token-ttl 30m`,
			`svcauth service-account update deployer --default-resource "" --claim ""`},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&name, "name", "", "new name")
			flags.StringVar(&description, "description", "", "new description")
			flags.DurationVar(&ttl, "token-ttl", 0, "new lifetime of its tokens, 1m to 24h")
			flags.StringVar(&binding, "token-binding", "", aboutBinding+
				"; to demand more ends at once its tokens that are not bound so")
			tokens.add(flags, ", instead of those it has; an empty one takes all away")
			t.yesFlag(flags)
		},
		run: func(ctx context.Context, s *session, args []string) error {
			seconds, err := lifetime(ttl)
			if err != nil {
				return err
			}
			patch := svcauth.ServiceAccountPatch{
				Name:         s.given("name", &name),
				Description:  s.given("description", &description),
				TokenBinding: s.given("token-binding", &binding),

				DefaultResource: s.given("default-resource", &tokens.resource),
			}
			if claims, given, err := tokens.values(s); err != nil {
				return err
			} else if given {
				patch.Claims = &claims
			}
			if s.command.Flags().Changed("token-ttl") {
				patch.TokenTTLSeconds = &seconds
			}
			if patch == (svcauth.ServiceAccountPatch{}) {
				return wrongUsage("nothing to change: give --name, --description, --token-ttl, --token-binding, " +
					"--default-resource, --claim or --claims-file")
			}
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			return t.updateAccount(ctx, s, id, patch)
		},
	}.command()
}

// updateAccount changes an account, and asks first if there is something to
// warn of.
func (t *removal) updateAccount(
	ctx context.Context, s *session, id string, patch svcauth.ServiceAccountPatch,
) error {
	var account svcauth.ServiceAccount
	if err := t.cautiously(ctx, s, func(c svcauth.Caution) (err error) {
		patch.Caution = c
		account, err = s.client.UpdateServiceAccount(ctx, id, 0, patch, 0)
		return err
	}); err != nil {
		return err
	}
	return s.showAccount(account)
}

// given returns the flag's value if the flag was set, even to an empty text, or
// else nil.
func (s *session) given(flag string, value *string) *string {
	if !s.command.Flags().Changed(flag) {
		return nil
	}
	return value
}
