package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/config"
)

func healthcheckCommand() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running server whether it is ready (for containers)",
		Args:  cobra.NoArgs,
		Long: `Ask the server of this configuration whether it is ready: at the address of
'listen', by HTTPS if it has a certificate. Exit status 1 if it is not.`,
		RunE: func(c *cobra.Command, _ []string) error {
			client := &http.Client{Timeout: 3 * time.Second}
			if at == "" {
				cfg, err := loadConfig(c)
				if err != nil {
					return err
				}
				at = readyURL(cfg)
				// The request stays on this machine, so any name in the
				// certificate will do.
				client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			}
			req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, at, nil)
			if err != nil {
				return wrongUsage("--url is not an address of the form http://host/readyz")
			}
			res, err := client.Do(req)
			if err != nil {
				if outer := (*url.Error)(nil); errors.As(err, &outer) {
					err = outer.Err
				}
				return fmt.Errorf("no server answers at %s: %w; is it running there? --url names another",
					req.URL.Redacted(), err)
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK {
				return fmt.Errorf("%s answered %s, so the server is not ready; its log says why", req.URL.Redacted(),
					res.Status)
			}
			return nil
		},
	}
	c.Flags().StringVar(&at, "url", "", "what to ask (default: /readyz of the server that has this configuration)")
	return c
}

// readyURL returns the readiness URL of a server with this configuration, for
// requests from its own machine.
func readyURL(cfg config.Config) string {
	host, port, _ := net.SplitHostPort(cfg.Listen)
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsUnspecified() && addr.Is6() {
		host = "::1"
	} else if host == "" || err == nil && addr.IsUnspecified() {
		host = "127.0.0.1"
	}
	at := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/readyz"}
	if cfg.TLS.CertFile != "" {
		at.Scheme = "https"
	}
	return at.String()
}
