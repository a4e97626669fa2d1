package main

import (
	"bytes"
	"context"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestEveryCommandIsDescribed checks that every command says what it is for in
// one line, in the same form, and that every management verb has an example
// that begins with its own name.
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

// Help fits a terminal, but for examples, which must be pasted whole, and lists
// of commands.
func TestHelpFitsATerminal(t *testing.T) {
	eachCommand(rootCommand(), func(c *cobra.Command) {
		for _, line := range strings.Split(c.Long+"\n"+c.Flags().FlagUsagesWrapped(tableWidth), "\n") {
			if c.Flags().Lookup("ca-file") != nil || !c.HasParent() {
				require.LessOrEqual(t, columns(line), tableWidth, "%s: %s", c.CommandPath(), line)
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

// Ctrl-C ends a command that waits for a person, with status 1 and a word about
// it.
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

// Ctrl-C ends a request that nobody answers, too.
func TestInterruptedWhileTheServerIsSilent(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	t.Setenv("SVCAUTH_URL", server.URL)
	t.Setenv("SVCAUTH_CLIENT_ID", "sa_01h455vb4pex5vsknk084sn02q")
	t.Setenv("SVCAUTH_CLIENT_SECRET", svcauth.NewSecret().Reveal())
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	var out, err bytes.Buffer
	require.Equal(t, 1, run(ctx, []string{"role", "list"}, strings.NewReader(""), &out, &err))
	require.Equal(t, "svcauth: interrupted; if a change was under way, look whether it was made before you repeat it\n",
		err.String())
}

// Management commands reach the server only over HTTP: of this module they
// import pkg/ alone, and what that shares with the server.
func TestManagementCommandsImportNothingOfTheServer(t *testing.T) {
	own := []string{"backup.go", "bootstrap.go", "configcheck.go", "demo.go", "healthcheck.go", "migrate.go",
		"passwords.go", "recover.go", "serve.go"}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || slices.Contains(own, name) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, imported := range file.Imports {
			_, inner, ok := strings.Cut(strings.Trim(imported.Path.Value, `"`), "/svcauth/internal/")
			shared := []string{"away", "httpx", "jwk", "timespan", "untrusted", "verify", "wire"}
			require.True(t, !ok || slices.Contains(shared, inner), "%s imports %s", name, inner)
		}
	}
}

// The command lines in the pages for operators are ones that exist, with flags
// that exist.
func TestCommandsInThePagesExist(t *testing.T) {
	pages, err := filepath.Glob("../../deploy/docs/*.md")
	require.NoError(t, err)
	found := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile("(?m)(?:`|^ *)svcauth ([a-z][^`|>\n]*)").FindAllStringSubmatch(
			string(text), -1) {
			args := strings.Fields(comment.ReplaceAllString(match[1], ""))
			c, rest, err := rootCommand().Find(args)
			require.NoError(t, err, "%s: svcauth %s", page, match[1])
			require.False(t, c.HasParent() && c.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-"),
				"%s: svcauth %s", page, match[1])
			if c.Name() == "svcauth" {
				require.Equal(t, "completion", args[0], "%s: svcauth %s", page, match[1])
				continue
			}
			require.NoError(t, c.ParseFlags(rest), "%s: svcauth %s", page, match[1])
			found++
		}
	}
	require.Greater(t, found, 10)
}
