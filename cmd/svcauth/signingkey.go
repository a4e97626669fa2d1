package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func signingKeyCommand() *cobra.Command {
	return noun("signing-key", "The keys that sign tokens (the operator's; needs keys:manage)",
		[]string{"signing-keys"}, listSigningKeys(), rotateSigningKeys(), revokeSigningKey())
}

func signingKeyColumns(s *session) []column[svcauth.SigningKey] {
	return []column[svcauth.SigningKey]{
		{title: "KID", whole: true, cell: func(k svcauth.SigningKey) string { return k.KID }},
		{title: "ALG", whole: true, cell: func(k svcauth.SigningKey) string { return k.Algorithm }},
		{title: "STATE", whole: true, cell: func(k svcauth.SigningKey) string { return k.State }},
		{
			title: "SIGNS",
			whole: true,
			cell: func(k svcauth.SigningKey) string {
				return agoOr(s.now(), cmp.Or(k.ActivatedAt, k.SignsFrom), "-")
			},
		},
		{
			title: "ENDS",
			whole: true,
			cell:  func(k svcauth.SigningKey) string { return agoOr(s.now(), k.DeleteAfter, "-") },
		},
		{
			title: "CREATED",
			wide:  true,
			cell:  func(k svcauth.SigningKey) string { return stamp(s.now(), &k.CreatedAt, "") },
		},
	}
}

func signingKeyChoices(ctx context.Context, s *session, _ []string, _ string) ([]string, error) {
	keys, err := s.client.SigningKeys(ctx)
	out := make([]string, 0, len(keys.Items))
	for _, key := range keys.Items {
		out = append(out, key.KID)
	}
	return out, err
}

// signingAlgorithmChoices completes the algorithms that have keys to rotate.
func signingAlgorithmChoices(ctx context.Context, s *session, _ []string, _ string) ([]string, error) {
	keys, err := s.client.SigningKeys(ctx)
	var out []string
	for _, key := range keys.Items {
		if key.State != svcauth.KeyRetired {
			out = append(out, key.Algorithm)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), err
}

func listSigningKeys() *cobra.Command {
	return listing[svcauth.SigningKey]{whole: true, columns: signingKeyColumns, none: "No signing keys.",
		verb: verb{
			use:     "list",
			aliases: []string{"ls"},
			short:   "List the keys that sign tokens, will or did, as far as such tokens still live",
			long: "SIGNS says since when it signs or signed, or when it begins to; ENDS when it leaves the key set, " +
				"as the last token that it signed has expired.",
			example: []string{"svcauth signing-key list"},
		},
		page: func(ctx context.Context, s *session, _ []string,
			_ svcauth.ListOptions) (svcauth.List[svcauth.SigningKey], error) {
			return s.client.SigningKeys(ctx)
		},
	}.command()
}

func rotateSigningKeys() *cobra.Command {
	var r svcauth.KeyRotation
	return verb{
		use:     "rotate",
		short:   "Make the next key the active one now, rather than when it is due; tokens live on",
		long:    "Without --algorithm the keys of each algorithm in use are rotated.",
		example: []string{"svcauth signing-key rotate", "svcauth signing-key rotate --algorithm ES256"},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&r.Algorithm, "algorithm", "",
				"rotate the keys of this algorithm only: ES256, RS256 or EdDSA")
		},
		choices: map[string]choices{"algorithm": signingAlgorithmChoices},
		run: func(ctx context.Context, s *session, _ []string) error {
			keys, err := s.client.RotateSigningKeys(ctx, r)
			if err != nil {
				return err
			}
			return listing[svcauth.SigningKey]{columns: signingKeyColumns}.print(s, keys)
		},
	}.command()
}

func revokeSigningKey() *cobra.Command {
	var t removal
	return verb{
		use: "revoke KID",
		short: "Take a key that may be in strange hands out of use at once: " +
			"every token that it signed is refused from then on",
		example: []string{"svcauth signing-key revoke --yes -- 2ZLl1bZqVqjTd1hXz0m0Rg"},
		flags:   t.yesFlag,
		choices: map[string]choices{"KID": signingKeyChoices},
		long: "Clients whose tokens it signed must fetch new ones; resource servers refuse the old ones as soon " +
			"as they have fetched the keys anew. A kid that begins with a dash goes after --.",
		run: func(ctx context.Context, s *session, args []string) error {
			if err := t.confirm(ctx, s, func() (string, error) {
				keys, err := s.client.SigningKeys(ctx)
				if err != nil {
					return "", err
				}
				for _, key := range keys.Items {
					if key.KID == args[0] {
						return fmt.Sprintf("Revoke the %s signing key %s? Every token that it signed, of every "+
							"organization, is refused from then on.", key.State, key.KID), nil
					}
				}
				return "", fmt.Errorf("there is no signing key %s; 'svcauth signing-key list' shows all",
					clean(args[0]))
			}); err != nil {
				return err
			}
			warning, err := s.client.RevokeSigningKey(ctx, args[0])
			if err != nil {
				return err
			}
			if s.json {
				return writeJSON(s.out, map[string]string{"warning": warning})
			}
			s.say("Revoked signing key %s. %s", args[0], clean(warning))
			return nil
		},
	}.command()
}
