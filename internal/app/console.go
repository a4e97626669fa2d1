package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/console"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// console builds the pages for people.
func (a *App) console(enforced func(context.Context, time.Duration) svcauth.Enforcement,
	servers func(ctx context.Context, orgID string, operator bool) []svcauth.ResourceServer, callers *limits.Callers) (*console.Console, error) {
	oidc, err := a.oidc()
	if err != nil {
		return nil, err
	}
	sessions := a.store.Sessions()
	return console.New(console.Config{Access: a.Access, Sessions: sessions, Once: sessions.Once, Issuer: a.cfg.Issuer, SessionIdle: a.cfg.Console.SessionIdle,
		SessionLifetime: a.cfg.Console.SessionLifetime, OIDC: oidc, Enforced: enforced, ResourceServers: servers, Callers: callers, Clock: a.clock, Logger: a.logger,
		Seal: a.keyring.Seal, Open: a.keyring.Open})
}

// oidc reads what the configuration names of the provider of single sign-on.
func (a *App) oidc() (console.OIDC, error) {
	c := a.cfg.OIDC
	out := console.OIDC{Issuer: c.Issuer, ClientID: c.ClientID}
	if c.ClientSecretFile != "" {
		raw, err := os.ReadFile(c.ClientSecretFile)
		if err != nil {
			return out, fmt.Errorf("read oidc.client_secret_file: %w", err)
		}
		out.ClientSecret = svcauth.Secret(strings.TrimSpace(string(raw)))
	}
	vouching, err := authorities("oidc.ca_file", c.CAFile)
	if vouching == nil {
		return out, err
	}
	out.HTTP = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: vouching}}}
	return out, nil
}

// authorities reads the PEM file that a key of the configuration names; nil if
// it names none.
func authorities(key, path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // the system's
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s %s holds no certificate in PEM", key, path)
	}
	return pool, nil
}
