package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func testFederated() *cobra.Command {
	var account, claimsFile string
	return verb{
		use: "test",
		short: "Say which federated credentials a token of another issuer fits, and for each other the rule " +
			"that it fails",
		long: "The token is read from standard input, so that nobody sees it in the list of processes; or only " +
			"its claims " +
			"are given, by --claims-file. Nothing is issued. The status is 1 if it fits none.",
		choices: map[string]choices{"service-account": accountChoices},
		example: []string{"svcauth federated-credential test < token",
			"svcauth federated-credential test --service-account deployer --claims-file claims.json"},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&account, "service-account", "", "only the credentials of this one")
			flags.StringVar(&claimsFile, "claims-file", "", "a file with the claims alone, as JSON")
		},
		run: func(ctx context.Context, s *session, _ []string) (err error) {
			var body svcauth.FederatedTest
			if claimsFile != "" {
				claims := federatedFlags{jwksFile: claimsFile}
				body.Claims, err = claims.keySet()
			} else {
				body.Assertion, err = s.readToken(ctx)
			}
			if err != nil {
				return err
			}
			if account != "" {
				if body.ClientID, err = s.accountID(ctx, account); err != nil {
					return err
				}
			}
			result, err := s.client.TestFederatedCredentials(ctx, body)
			if err != nil {
				return err
			}
			return s.showFederatedTest(result)
		},
	}.command()
}

// showFederatedTest prints what a token fits, the nearest first.
func (s *session) showFederatedTest(result svcauth.FederatedTestResult) error {
	fits := false
	for _, m := range result.Credentials {
		fits = fits || m.Matches
	}
	if s.json {
		if err := writeJSON(s.out, result); err != nil {
			return err
		}
	} else {
		for _, m := range result.Credentials {
			of := clean(m.ServiceAccount.Name) + " / " + clean(m.Name) + " (" + m.CredentialID + ")"
			if m.Matches {
				fmt.Fprintf(s.out, "fits       %s\n", of)
				continue
			}
			fmt.Fprintf(s.out, "fits not   %s\n  rule %s: expected %s, got "+
				"%s\n", of, m.Rule, clean(m.Expected), clean(m.Got))
		}
		if len(result.Credentials) == 0 {
			s.hint("There are no federated credentials.")
		}
	}
	if result.More {
		s.hint("There are more than were tried: name an account with --service-account.")
	}
	if !fits {
		return errAnswered
	}
	return nil
}
