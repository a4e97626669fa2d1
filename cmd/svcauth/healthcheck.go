package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func healthcheckCommand() *cobra.Command {
	var at string
	c := &cobra.Command{Use: "healthcheck", Short: "Ask a running server whether it is ready (for containers)", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		client := &http.Client{Timeout: 3 * time.Second}
		resp, err := client.Get(at)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", at, resp.Status)
		}
		return nil
	}}
	c.Flags().StringVar(&at, "url", "http://127.0.0.1:8080/readyz", "what to ask")
	return c
}
