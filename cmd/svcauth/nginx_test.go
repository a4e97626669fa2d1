package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// An administrator of a catalogue of 500 privileges uses the command line through
// nginx with its default buffers: 8 KiB for a header line.
func TestLargeCatalogBehindNginx(t *testing.T) {
	needs.Service(t, "nginx")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	catalog := "apis:\n  - audience: https://large.example\n    name: Large\n    description: D\n    privileges:\n"
	var privileges []string
	for i := range 500 {
		privileges = append(privileges, fmt.Sprintf("privileges-of-some-length%03d:view", i))
		catalog += fmt.Sprintf("      - {name: %q, title: T, description: D}\n", privileges[i])
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "catalog.yaml"), []byte(catalog), 0o600))
	server := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_ISSUER=http://" + address, "SVCAUTH_CATALOG_FILE=" + filepath.Join(dir, "catalog.yaml")}})
	startNginx(t, dir, address, server.URL)
	server.Issuer = "http://" + address

	status, out, said := call(t, server, "role", "create", "All", "--privilege", strings.Join(privileges, ","), "-o", "json")
	require.Zero(t, status, said)
	require.Contains(t, out, privileges[499])
	for _, command := range [][]string{{"service-account", "create", "large", "--role", "All", "-o", "json"}, {"service-account", "list"}, {"role", "list"}} {
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

func startNginx(t *testing.T, dir, address, target string) {
	t.Helper()
	config := filepath.Join(dir, "nginx.conf")
	temporary := ""
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temporary += name + "_temp_path " + dir + "/" + name + ";\n"
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n" // else its workers can't enter the directory: a body that comes in pieces is written there
	}
	require.NoError(t, os.WriteFile(config, []byte(user+"daemon off;\npid "+dir+"/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n"+temporary+
		"server { listen "+address+"; location / { proxy_pass "+target+"; proxy_set_header Host $http_host; } }\n}\n"), 0o600))
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // which is on no user's PATH
	}
	cmd := exec.Command(program, "-c", config)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 20*time.Millisecond)
}
