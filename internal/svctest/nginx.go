package svctest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// Nginx starts a real nginx at the address, with what its server block shall
// hold. Otherwise it has its defaults. It skips the test where services are not
// wanted.
func Nginx(t testing.TB, address, block string) {
	t.Helper()
	needs.Service(t, "nginx")
	StartProgram(t, NginxCommand(t, t.TempDir(), "server { listen "+address+";\n"+block+"\n}\n"), Listens(address))
}

// NginxCommand prepares an nginx with what the http block of its configuration
// shall hold. It keeps its files in dir.
func NginxCommand(t testing.TB, dir, block string) *exec.Cmd {
	t.Helper()
	text := "daemon off;\npid " + dir + "/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n"
	if os.Geteuid() == 0 { // else its workers can't enter the directory: a body that comes in pieces is written there
		text = "user root;\n" + text
	}
	for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		text += name + "_temp_path " + dir + "/" + name + ";\n"
	}
	file := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(text+block+"}\n"), 0o600))
	return exec.Command(SystemProgram(t, "nginx"), "-c", file)
}

// SystemProgram finds a program that no user has on the PATH.
func SystemProgram(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name
	}
	require.FileExists(t, path, "run `make deps`")
	return path
}

// BelowPath starts a server with the issuer http://ADDRESS/PATH behind a real
// nginx that hands on that path alone, whole or shortened by it. All else that
// nginx is asked for is 404.
func BelowPath(t testing.TB, path string, shortened bool, opts Options) *Server {
	t.Helper()
	needs.Service(t, "nginx")
	address := freeport.Address(t)
	opts.Environ = append(opts.Environ, "SVCAUTH_ISSUER=http://"+address+path)
	s := New(t, opts)
	target := s.URL
	if shortened {
		target += "/"
	}
	Nginx(
		t, address,
		"location / { return 404; }\nlocation "+path+"/ { proxy_pass "+target+"; proxy_set_header Host $http_host; }",
	)
	return s
}
