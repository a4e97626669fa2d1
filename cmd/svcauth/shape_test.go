package main

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

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

// Ctrl-C ends a command that waits for a person, with status 1 and a word about it.
func TestInterruptedWhileItWaits(t *testing.T) {
	t.Setenv("SVCAUTH_URL", "http://127.0.0.1:1")
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe() // nobody writes
	defer w.Close()
	var out, err bytes.Buffer
	time.AfterFunc(50*time.Millisecond, cancel)
	require.Equal(t, 1, run(ctx, []string{"token", "inspect"}, r, &out, &err))
	require.Empty(t, out.String())
	require.Contains(t, err.String(), "svcauth: interrupted")
}
