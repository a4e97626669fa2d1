package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/internal/app"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/people"
)

// recoveryJSON is what bootstrap --recover-admin -o json prints.
type recoveryJSON struct {
	Issuer       string    `json:"issuer"`
	Organization string    `json:"organization"`
	Email        string    `json:"email"`
	URL          string    `json:"invitation_url"`
	ExpiresAt    time.Time `json:"expires_at"`
	KeysEnded    int       `json:"application_keys_ended"`
	Granted      bool      `json:"made_administrator"`
}

// recoverAdmin gives an administrator a way back in.
func recoverAdmin(c *cobra.Command, r people.RecoveryRequest) error {
	output := c.Flag("output").Value.String()
	if err := checkOutput(output); err != nil {
		return err
	}
	cfg, found, err := loadToBootstrap(c)
	if err == nil {
		err = mustBeSeen(c.OutOrStdout())
	}
	if err == nil {
		err = mustBeThere(cfg, found)
	}
	if err == nil && !cfg.Console.Enabled {
		err = errors.New("console.enabled is false, and the link would open there: switch the console on first, " +
			"on one node at least")
	}
	if err != nil {
		return err
	}
	r.Show = func(done people.Recovery) error {
		if output == "json" {
			return settle(c.OutOrStdout(), json.NewEncoder(c.OutOrStdout()).Encode(recoveryJSON{
				Issuer: cfg.Issuer, Organization: done.Organization.Name, Email: done.Email, URL: done.URL,
				ExpiresAt: done.ExpiresAt, KeysEnded: done.EndedKeys, Granted: done.Granted,
			}))
		}
		return printRecovery(c.OutOrStdout(), done)
	}
	return openWith(c, cfg, func(ctx context.Context, a *app.App, _ config.Config) error {
		_, err := a.People.Recover(ctx, r)
		return err
	})
}

func printRecovery(w io.Writer, done people.Recovery) error {
	granted := ""
	if done.Granted {
		granted = fmt.Sprintf("Organization %s had no active Administrator: %s is one now.\n",
			clean(done.Organization.Name), done.Email)
	}
	_, err := fmt.Fprintf(w, "%sPassword, sessions and application keys (%d) of %s in organization %s have ended.\n"+
		"Whoever opens this link sets the new password; it works once, until %s:\n\n  %s\n",
		granted, done.EndedKeys, done.Email, clean(done.Organization.Name),
		done.ExpiresAt.Format("15:04 UTC on 2 January 2006"), done.URL)
	return settle(w, err)
}
