package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/app"
)

func backupCommand() *cobra.Command {
	var out string
	c := &cobra.Command{Use: "backup", Short: "Write one sealed archive of the whole database",
		Long: `Write one archive of the whole database, as it is at one moment, while nodes
run. It is sealed under the master key, which it does not hold: keep a copy of
that apart.

The archive fits a database of either kind: see 'svcauth restore'. A file is
written whole or not at all, with mode 0600.`,
		Example: "  svcauth backup --out svcauth.backup\n" +
			"  svcauth backup --out - | ssh elsewhere 'cat > svcauth.backup'",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			var rows int64
			if out == "-" {
				rows, err = app.Backup(c.Context(), cfg, raw(c.OutOrStdout()))
			} else {
				err = writeWhole(out, func(w io.Writer) error {
					rows, err = app.Backup(c.Context(), cfg, w)
					return err
				})
			}
			if err == nil {
				fmt.Fprintf(c.ErrOrStderr(), "%d rows backed up. Without the master key the archive is worthless: "+
					"keep that too, elsewhere.\n", rows)
			}
			return err
		}}
	c.Flags().StringVar(&out, "out", "", "the archive to write, which must not exist; - for standard output")
	_ = c.MarkFlagRequired("out")
	return c
}

func restoreCommand() *cobra.Command {
	var keepTokens bool
	c := &cobra.Command{
		Use:   "restore ARCHIVE",
		Short: "Fill an empty database with an archive that 'svcauth backup' wrote",
		Long: `Fill the empty database that the configuration names, of either kind, with an
archive. All of it is restored, or nothing. Start the nodes afterwards.

What was revoked after the backup is not in it. Therefore every token that was
issued before the restore is refused from then on, and clients fetch new ones.
--keep-tokens leaves them alive: only for moving a database whose nodes have
been stopped since the backup.`,
		Example: "  svcauth restore svcauth.backup\n  ssh elsewhere 'cat svcauth.backup' | svcauth restore -",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			in := c.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("read the archive: %w", err)
				}
				defer file.Close()
				in = file
			}
			rows, err := app.Restore(c.Context(), cfg, in, keepTokens)
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "%d rows restored.\n", rows)
			}
			return err
		},
	}
	c.Flags().BoolVar(&keepTokens, "keep-tokens", false,
		"tokens issued before stay alive; only where no node has run since the backup")
	return c
}

// writeWhole creates a file with mode 0600. It writes under another name first,
// so the file is never incomplete.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists already; name another file, or remove it first", path)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".svcauth-backup-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	err = write(file)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
