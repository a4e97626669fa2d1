package app

import (
	"errors"
	"net/http"
	"strings"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/console"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// console builds the pages for people.
func (a *App) console(callers *limits.Callers) (*console.Console, error) {
	oidc, err := readOIDC(a.cfg.OIDC)
	if err != nil {
		return nil, err
	}
	sessions := a.store.Sessions()
	return console.New(console.Config{
		Access:          a.Access,
		People:          a.People,
		Token:           a.Token,
		Sessions:        sessions,
		Once:            sessions.Once,
		Issuer:          a.cfg.Issuer,
		SessionIdle:     a.cfg.Console.SessionIdle,
		SessionLifetime: a.cfg.Console.SessionLifetime,
		OIDC:            oidc,
		Enforced:        a.enforced,
		ResourceServers: a.resourceServers,
		Callers:         callers,
		Clock:           a.clock,
		Logger:          a.logger,
		Seal:            a.keyring.Seal,
		Open:            a.keyring.Open,
	})
}

// readOIDC reads the files that the configuration names of the provider of
// single sign-on.
func readOIDC(c config.OIDC) (console.OIDC, error) {
	out := console.OIDC{Issuer: c.Issuer, ClientID: c.ClientID}
	var secretErr error
	if c.ClientSecretFile != "" {
		var raw []byte
		raw, secretErr = readFile(c.ClientSecretFile)
		out.ClientSecret = svcauth.Secret(strings.TrimSpace(string(raw)))
	}
	trust, _, caErr := clientTLS("oidc", c.CAFile, "", "")
	if trust != nil {
		out.HTTP = &http.Client{
			Transport: &http.Transport{
				Proxy:             http.ProxyFromEnvironment,
				ForceAttemptHTTP2: true,
				TLSClientConfig:   trust,
			},
		}
	}
	return out, errors.Join(ofKey("oidc.client_secret_file", secretErr), caErr)
}
