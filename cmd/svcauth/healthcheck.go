package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

func healthcheckCommand() *cobra.Command {
	var at string
	c := &cobra.Command{Use: "healthcheck", Short: "Ask a running server whether it is ready (for containers)", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, at, nil)
		if err != nil {
			return wrongUsage("--url is not an address of the form http://host/readyz")
		}
		res, err := (&http.Client{Timeout: 3 * time.Second}).Do(req)
		if err != nil {
			if outer := (*url.Error)(nil); errors.As(err, &outer) {
				err = outer.Err
			}
			return fmt.Errorf("no server answers at %s: %w; is it running there? --url names another", req.URL.Redacted(), err)
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s, so the server is not ready; its log says why", req.URL.Redacted(), res.Status)
		}
		return nil
	}}
	c.Flags().StringVar(&at, "url", "http://127.0.0.1:8080/readyz", "what to ask")
	return c
}
