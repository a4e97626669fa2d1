package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
)

func configCommand() *cobra.Command {
	return noun("config", "The configuration of the server", nil, &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and show every value with its source",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadToServe(c)
			if err != nil {
				return err
			}
			catalog, err := config.LoadCatalog(cfg.CatalogFile, cfg.Issuer)
			if err != nil {
				return err
			}
			start := app.Rehearse(c.Context(), cfg, catalog)
			if start.Refused != nil {
				return start.Refused
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, e := range cfg.Describe() {
				fmt.Fprintf(w, "%s\t%s\t%s\n", e.Key, e.Value, e.Source)
			}
			for _, warning := range cfg.Warnings() {
				fmt.Fprintln(c.ErrOrStderr(), "warning: "+warning)
			}
			if start.Crowding != nil {
				fmt.Fprintln(c.ErrOrStderr(), "warning: "+start.Crowding.String())
			}
			for _, o := range start.Warnings {
				fmt.Fprintln(c.ErrOrStderr(), "warning: "+clean(o.String()))
			}
			for _, p := range start.Pending {
				fmt.Fprintln(c.ErrOrStderr(), "note: "+p.String())
			}
			if start.Note != "" {
				fmt.Fprintln(c.ErrOrStderr(), "note: "+start.Note)
			}
			return w.Flush()
		},
	})
}
