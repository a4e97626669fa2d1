package main

import (
	"context"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// Every command says what it is for in one line, in the same form, and every management verb has an example that begins with its own name.
func TestEveryCommandIsDescribed(t *testing.T) {
	root := rootCommand()
	sentence := regexp.MustCompile(`^[A-Z].*[^.]$`)
	eachCommand(root, func(c *cobra.Command) {
		require.Regexp(t, sentence, c.Short, c.CommandPath())
		require.NotNil(t, c.RunE, c.CommandPath())
		if c.GroupID == manageGroup || c.HasParent() && c.Parent() != root && c.Flags().Lookup("ca-file") != nil {
			if c.Flags().Lookup("ca-file") == nil {
				return // a noun
			}
			require.NotEmpty(t, c.Example, c.CommandPath())
			for _, line := range strings.Split(c.Example, "\n") {
				require.Contains(t, line, c.CommandPath(), c.CommandPath())
			}
		}
	})
}

// No secret is a flag's value: the list of processes shows it to everybody.
func TestNoFlagTakesASecret(t *testing.T) {
	eachCommand(rootCommand(), func(c *cobra.Command) {
		for _, name := range []string{"client-secret", "secret", "password", "token", "admin-password"} {
			require.Nil(t, c.Flags().Lookup(name), "%s --%s", c.CommandPath(), name)
		}
	})
}

// A verb that takes something away asks, so it has --yes.
func TestWhatDestroysAsks(t *testing.T) {
	eachCommand(rootCommand(), func(c *cobra.Command) {
		switch c.Name() {
		case "delete", "remove", "disable", "suspend", "unassign", "revoke-all", "reset":
			require.NotNil(t, c.Flags().Lookup("yes"), c.CommandPath())
		}
	})
}

func TestReadingStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe() // nobody writes
	defer w.Close()
	cancel()
	_, err := readLine(ctx, r)
	require.ErrorIs(t, err, context.Canceled)
}
