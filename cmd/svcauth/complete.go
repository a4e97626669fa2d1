package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// choices returns the possible values of an argument or a flag that begin with
// prefix. args are the arguments before it.
type choices func(ctx context.Context, s *session, args []string, prefix string) ([]string, error)

const (
	completionPatience = 3 * time.Second
	maxChoices         = 100
)

// addCompletion lets the shell complete arguments and flags. An error is no
// reason to disturb a person who is typing: there are just no choices.
func addCompletion(c *cobra.Command, v verb, k *connection) {
	ask := func(name string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
			give := v.choices[name]
			if give == nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			ctx, cancel := context.WithTimeout(c.Context(), completionPatience)
			defer cancel()
			s, err := k.open(c, v.offline)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			defer s.close()
			found, _ := give(ctx, s, args, prefix)
			return beginningWith(found, prefix), cobra.ShellCompDirectiveNoFileComp
		}
	}
	required, optional := argumentNames(v.use)
	names := append(required, optional...)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(names) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return ask(names[len(args)])(c, args, prefix)
	}
	for name := range v.choices {
		if c.Flags().Lookup(name) != nil {
			_ = c.RegisterFlagCompletionFunc(name, ask(name)) // fails only for a flag that is not there or has one
		}
	}
	_ = c.RegisterFlagCompletionFunc("output",
		cobra.FixedCompletions([]string{"table", "json", outputWide}, cobra.ShellCompDirectiveNoFileComp))
}

// fixed returns choices that are always the same.
func fixed(words ...string) choices {
	return func(context.Context, *session, []string, string) ([]string, error) { return words, nil }
}

func beginningWith(found []string, prefix string) (out []string) {
	for _, one := range found {
		if strings.HasPrefix(one, prefix) && clean(one) == one {
			out = append(out, one)
		}
	}
	return out
}

// gather returns the names of a list that begin with prefix, but no more than a
// person could look through.
func gather[T any](all func(func(T, error) bool), prefix string, name func(T) string) (out []string, err error) {
	for thing, err := range all {
		if err != nil || len(out) == maxChoices {
			return out, err
		}
		if text := name(thing); strings.HasPrefix(text, prefix) {
			out = append(out, text)
		}
	}
	return out, nil
}

func accountChoices(ctx context.Context, s *session, _ []string, prefix string) ([]string, error) {
	named := svcauth.ListOptions{Name: prefix, Limit: maxChoices}
	return gather(svcauth.All(ctx, s.client.ServiceAccounts, named), prefix,
		func(a svcauth.ServiceAccount) string { return a.Name })
}

func roleChoices(ctx context.Context, s *session, _ []string, prefix string) ([]string, error) {
	return gather(svcauth.All(ctx, s.client.Roles, svcauth.ListOptions{}), prefix,
		func(r svcauth.Role) string { return r.Name })
}

func memberChoices(ctx context.Context, s *session, _ []string, prefix string) ([]string, error) {
	return gather(svcauth.All(ctx, s.client.Members, svcauth.ListOptions{}), prefix,
		func(m svcauth.Member) string { return m.Email })
}

func privilegeChoices(ctx context.Context, s *session, _ []string, prefix string) ([]string, error) {
	return gather(svcauth.All(ctx, s.client.Privileges, svcauth.ListOptions{}), prefix,
		func(p svcauth.Privilege) string { return p.Name })
}

func apiChoices(ctx context.Context, s *session, _ []string, prefix string) ([]string, error) {
	return gather(svcauth.All(ctx, s.client.APIs, svcauth.ListOptions{}), prefix,
		func(a svcauth.API) string { return a.Audience })
}

func keyChoices(ctx context.Context, s *session, _ []string, _ string) ([]string, error) {
	keys, err := s.client.ApplicationKeys(ctx, svcauth.ListOptions{})
	out := make([]string, 0, len(keys.Items))
	for _, key := range keys.Items {
		out = append(out, key.ID)
	}
	return out, err
}

// secretChoices returns the ids of the secrets of the service account that the
// first argument names.
func secretChoices(ctx context.Context, s *session, args []string, _ string) ([]string, error) {
	id, err := s.accountID(ctx, args[0])
	if err != nil {
		return nil, err
	}
	secrets, err := s.client.Secrets(ctx, id)
	out := make([]string, 0, len(secrets.Items))
	for _, secret := range secrets.Items {
		out = append(out, secret.ID)
	}
	return out, err
}
