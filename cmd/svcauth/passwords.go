package main

import (
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/passwords"
)

const hashPasswords = "hash-passwords"

// passwordWorker is the command that hashes the server's passwords. main sets
// it, because in a test this program is another one.
var passwordWorker []string

// ownCommand returns a command that starts this program with an argument, even
// if another program has replaced its file meanwhile. It returns nil if it
// can't tell.
func ownCommand(argument string) []string {
	if runtime.GOOS == "linux" {
		return []string{"/proc/self/exe", argument}
	}
	path, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{path, argument}
}

// hashPasswordsCommand is started by the server, not by people.
func hashPasswordsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    hashPasswords,
		Short:  "Hash what the server hands over, behind everything else that the machine does",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(c *cobra.Command, _ []string) error { return passwords.Work(c.InOrStdin(), raw(c.OutOrStdout())) },
	}
}
