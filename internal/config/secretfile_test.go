//go:build unix

package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each key that names a file with a secret refuses one that others can read,
// and says what to run.
func TestASecretThatOthersCanReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	path, cert := filepath.Join(dir, "secret"), filepath.Join(dir, "cert")
	require.NoError(t, os.WriteFile(cert, nil, 0o644))
	for _, key := range []string{"master_key_file", "master_key_previous_file", "tls.key_file",
		"oidc.client_secret_file", "redis.key_file", "otlp.key_file", "passfile", "sslkey"} {
		for _, c := range []struct {
			mode fs.FileMode
			ok   bool
		}{{0o400, true}, {0o600, true}, {0o644, false}, {0o604, false}, {0o666, false}, {0o620, false}, {0o610, false},
			{0o601, false}} {
			require.NoError(t, os.RemoveAll(path))
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("k", 32)), c.mode))
			require.NoError(t, os.Chmod(path, c.mode))
			environ := []string{"SVCAUTH_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_")) + "=" + path}
			fault := key + ": "
			switch key {
			case "passfile", "sslkey":
				environ = []string{"SVCAUTH_DATABASE_URL=postgres://h/svcauth?" + key + "=" + path}
				fault = "database.url: "
			case "tls.key_file":
				environ = append(environ, "SVCAUTH_TLS_CERT_FILE="+cert, "SVCAUTH_ISSUER=https://auth.example.com")
			case "oidc.client_secret_file":
				environ = append(environ, "SVCAUTH_OIDC_ISSUER=https://sso.example.com", "SVCAUTH_OIDC_CLIENT_ID=x")
			}
			_, err := Load(LoadOptions{Environ: environ})
			if c.ok {
				require.NoError(t, err, "%s %04o", key, c.mode)
				continue
			}
			require.ErrorContains(t, err, fault, "%04o", c.mode)
			require.ErrorContains(t, err, fmt.Sprintf("mode %04o", c.mode), "%s", key)
			require.ErrorContains(t, err, "chmod ", "%s", key)
		}
	}
}

// How files with secrets are handed to a service, by mode and owner: systemd's
// LoadCredential= with an access list whose mask shows as the group's bits, or
// a file of the service's own; volumes of Kubernetes with fsGroup; and by hand.
func TestWhoMayReadASecret(t *testing.T) {
	const service = 65532
	for _, c := range []struct {
		mode  fs.FileMode
		owner int
		ok    bool
		by    string
	}{
		{0o440, 0, true, "systemd, and a volume of the chart"},
		{0o400, service, true, "systemd on a kernel without access lists"},
		{0o600, service, true, "what svcauth makes itself"},
		{0o640, 0, true, "chgrp svcauth, chmod 640"},
		{0o444, 0, false, "a volume of Kubernetes with its default of 0644, read only"},
		{0o644, 0, false, "a volume of Kubernetes with its default"},
		{0o660, 0, false, "a group that may write"},
		{0o640, service, false, "a group of the service's own"},
		{0o440, 1000, false, "a group of somebody else's"},
	} {
		require.Equal(t, c.ok, private(c.mode, c.owner), c.by)
	}
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, int(info.Sys().(*syscall.Stat_t).Uid), ownerOf(info))
}
