package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
)

func configCommand() *cobra.Command {
	return noun("config", "The configuration of the server", nil, &cobra.Command{Use: "check", Short: "Check the configuration and show every value with its source", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		cfg, err := loadConfig(c)
		if err != nil {
			return err
		}
		catalog, err := config.LoadCatalog(cfg.CatalogFile, cfg.Issuer)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		for _, e := range cfg.Describe() {
			fmt.Fprintf(w, "%s\t%s\t%s\n", e.Key, e.Value, e.Source)
		}
		for _, warning := range cfg.Warnings() {
			fmt.Fprintln(c.ErrOrStderr(), "warning: "+warning)
		}
		oversized, note := app.CheckTokenSizes(c.Context(), cfg, catalog)
		for _, o := range oversized {
			fmt.Fprintln(c.ErrOrStderr(), "warning: "+clean(o.String()))
		}
		if note != "" {
			fmt.Fprintln(c.ErrOrStderr(), "note: "+note)
		}
		return w.Flush()
	}})
}
