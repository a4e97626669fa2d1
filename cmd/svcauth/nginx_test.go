package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// An administrator of a catalogue of 500 privileges uses the command line
// through nginx with its default buffers: 8 KiB for a header line.
func TestLargeCatalogBehindNginx(t *testing.T) {
	needs.Service(t, "nginx")
	address := freeport.Address(t)
	catalog := "apis:\n  - audience: https://large.example\n    name: Large\n    description: D\n    privileges:\n"
	var privileges []string
	for i := range 500 {
		privileges = append(privileges, fmt.Sprintf("privileges-of-some-length%03d:view", i))
		catalog += fmt.Sprintf("      - {name: %q, title: T, description: D}\n", privileges[i])
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte(catalog), 0o600))
	server := svctest.New(t, svctest.Options{
		Environ: []string{"SVCAUTH_ISSUER=http://" + address, "SVCAUTH_CATALOG_FILE=" +
			filepath.Join(dir, "catalog.yaml")},
	})
	svctest.Nginx(t, address, "location / { proxy_pass "+server.URL+"; proxy_set_header Host $http_host; }")
	server.Issuer = "http://" + address

	status, out, said := call(t, server, "role", "create", "All", "--privilege", strings.Join(privileges, ","), "-o",
		"json")
	require.Zero(t, status, said)
	require.Contains(t, out, privileges[499])
	for _, command := range [][]string{
		{"service-account", "create", "large", "--role", "All", "--yes", "-o", "json"},
		{"service-account", "list"},
		{"role", "list"},
	} {
		status, _, said = call(t, server, command...)
		require.Zero(t, status, "%v: %s", command, said)
	}
	status, _, said = call(t, server, "token")
	require.Equal(t, 1, status)
	require.Contains(t, said, "by scope or by resource")
	status, out, said = call(t, server, "token", "--scope", privileges[0])
	require.Zero(t, status, said)
	require.Less(t, len(out), 1000)
}

// The command line, the library for clients and that for resource servers know
// an issuer with a path by its name alone, behind nginx that hands on no other
// path.
func TestIssuerWithPathBehindNginx(t *testing.T) {
	for _, c := range []struct {
		path      string
		shortened bool
	}{{"/auth", false}, {"/auth", true}, {"/oauth2", true}, {"/v1", false}} {
		t.Run(fmt.Sprintf("%s shortened %t", c.path[1:], c.shortened), func(t *testing.T) {
			s := svctest.BelowPath(t, c.path, c.shortened, svctest.Options{})
			status, out, said := call(t, s, "service-account", "create", "below", "-o", "json")
			require.Zero(t, status, said)
			require.Contains(t, out, `"below"`)
			status, out, said = call(t, s, "token", "--resource", s.Issuer)
			require.Zero(t, status, said)
			token := strings.TrimSpace(out)

			key := s.Tenant.ApplicationKey
			source, err := tokensource.New(tokensource.Config{
				Issuer:       s.Issuer,
				ClientID:     key.ClientID,
				ClientSecret: key.ClientSecret,
				Resource:     []string{s.Issuer},
			})
			require.NoError(t, err)
			t.Cleanup(func() { _ = source.Close() })

			verifier, err := resourceserver.New(resourceserver.Config{
				Issuer:   s.Issuer,
				Audience: s.Issuer,
				Feed:     &resourceserver.Feed{Token: source.BearerToken, Drop: source.Drop},
			})
			require.NoError(t, err)
			t.Cleanup(func() { _ = verifier.Close() })
			require.Eventually(t, func() bool {
				return verifier.Ready(t.Context()) == nil
			}, time.Minute, 20*time.Millisecond)
			_, err = verifier.Verify(t.Context(), token)
			require.NoError(t, err)
			require.NoError(t, source.Revoke(t.Context(), token))
			require.Eventually(t, func() bool {
				_, err := verifier.Verify(t.Context(), token)
				return err != nil
			}, time.Minute, 20*time.Millisecond)
		})
	}
}
