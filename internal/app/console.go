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
		SessionLifetime: a.cfg.Console.SessionLifetime, OIDC: oidc, Enforced: enforced, ResourceServers: servers, Callers: callers, Clock: a.clock, Logger: a.logger})
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
	if c.CAFile == "" {
		return out, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return out, fmt.Errorf("read oidc.ca_file: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return out, fmt.Errorf("oidc.ca_file %s holds no certificate in PEM", c.CAFile)
	}
	out.HTTP = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities}}}
	return out, nil
}
