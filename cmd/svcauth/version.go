package main

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Args:    argumentsOf("version"),
		Example: indented([]string{"svcauth version", "svcauth version -o json"}),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			platform := runtime.GOOS + "/" + runtime.GOARCH
			if output == "json" {
				return writeJSON(c.OutOrStdout(), map[string]string{
					"version":  version,
					"go":       runtime.Version(),
					"platform": platform,
				})
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "svcauth %s (%s, %s)\n", version, runtime.Version(), platform)
			return err
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return c
}

// outputWide is a table with all columns, of which nothing is cut.
const outputWide = "wide"

// checkOutput refuses a form of output that is neither table nor json nor one
// of those that a command has beside.
func checkOutput(output string, more ...string) error {
	if output == "table" || output == "json" || slices.Contains(more, output) {
		return nil
	}
	also := ""
	for _, one := range more {
		also += ", or " + one
	}
	return wrongUsage("-o %s: expected table or json%s", clean(output), also)
}
