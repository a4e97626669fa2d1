package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/store"
)

func migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			db, err := store.Open(store.Config{
				URL: cfg.Database.URL.Reveal(), MaxConns: 2, Observer: migrationObserver{c.ErrOrStderr()},
			})
			if err != nil {
				return err
			}
			defer db.Close()
			steps, err := db.Migrate(c.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%d migrations applied; the schema is up to date.\n", steps)
			return nil
		},
	}
}

// migrationObserver writes what a migration waits for.
type migrationObserver struct{ out io.Writer }

// MigrationWaits implements [store.Observer].
func (o migrationObserver) MigrationWaits(because string) {
	fmt.Fprintf(o.out, "Waiting, because %s.\n", because)
}

// DatabaseCalled implements [store.Observer].
func (migrationObserver) DatabaseCalled(context.Context, string, time.Time, error) {}
