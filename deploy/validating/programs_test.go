package validating_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
)

func startNode(t *testing.T, f *front, environ ...string) string {
	jose := os.Getenv("SVCAUTH_JOSE")
	if jose == "" {
		jose = filepath.Join("..", "..", ".cache", "jose")
	}
	jose, err := filepath.Abs(jose)
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(jose, "package.json"),
		"run `make deps`, or set SVCAUTH_JOSE to an unpacked jose")
	dir := t.TempDir() // a program finds its packages beside itself
	require.NoError(t, os.Mkdir(filepath.Join(dir, "node_modules"), 0o755))
	require.NoError(t, os.Symlink(jose, filepath.Join(dir, "node_modules", "jose")))
	return f.program(t, environ, "node", fill(t, "node/server.mjs", filepath.Join(dir, "server.mjs")))
}

// startPython uses the system's Python: the packages are the system's too.
func startPython(t *testing.T, f *front, environ ...string) string {
	return f.program(t, append(environ, "PYTHONDONTWRITEBYTECODE=1"), "/usr/bin/python3", "python/server.py")
}

// fill copies a file of the page with replacements, given in pairs.
func fill(t *testing.T, from, to string, replacements ...string) string {
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	for i := 0; i < len(replacements); i += 2 {
		require.Contains(t, string(content), replacements[i])
	}
	// a server that gave up root reads it
	require.NoError(t, os.WriteFile(to, []byte(strings.NewReplacer(replacements...).Replace(string(content))), 0o644))
	return to
}

// serverDir is a directory that a server's workers, which are not root, can
// read.
func serverDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "validating")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755)) // as said
	return dir
}

func startApache(t *testing.T, f *front) string {
	dir, address := serverDir(t), freeport.Address(t)
	ca := fill(t, f.caFile, filepath.Join(dir, "ca.pem"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.html"), []byte("hello from Apache\n"), 0o644)) // as said
	fragment := fill(t, "apache/svcauth.conf", filepath.Join(dir, "svcauth.conf"),
		"https://auth.example.com", f.issuer, `https://auth\.example\.com`, strings.ReplaceAll(f.issuer, ".", `\.`))
	modules := ""
	for _, name := range []string{"mpm_event", "authn_core", "authz_core", "authz_user", "dir", "auth_openidc"} {
		modules += "LoadModule " + name + "_module /usr/lib/apache2/modules/mod_" + name + ".so\n"
	}
	config := filepath.Join(dir, "apache.conf")
	require.NoError(t, os.WriteFile(config, []byte(modules+`
ServerRoot "`+dir+`"
ServerName localhost
DefaultRuntimeDir "`+dir+`"
Listen `+address+`
PidFile "`+dir+`/pid"
ErrorLog /dev/stderr
LogLevel warn
DocumentRoot "`+dir+`"
DirectoryIndex index.html
OIDCCABundlePath "`+ca+`"
Include "`+fragment+`"
`), 0o600))
	apache := exec.Command(svctest.SystemProgram(t, "apache2"), "-D", "FOREGROUND", "-f", config)
	svctest.StartProgram(t, apache, svctest.Listens(address))
	return "http://" + address + "/"
}

func startNginx(t *testing.T, f *front, checker string) string {
	dir, address := serverDir(t), freeport.Address(t)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_,
			_ = w.Write([]byte("hello from the API\n"))
	}))
	t.Cleanup(api.Close)
	fragment := fill(t, "nginx/svcauth.conf", filepath.Join(dir, "svcauth.conf"),
		"127.0.0.1:8080", address, "http://127.0.0.1:8081/", f.program(t, nil, checker), "http://127.0.0.1:8082",
		api.URL)
	config := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(config, []byte(`daemon off;
pid `+dir+`/pid;
error_log stderr warn;
events {}
http {
	access_log off;
	client_body_temp_path `+dir+`/body;
	proxy_temp_path `+dir+`/proxy;
	fastcgi_temp_path `+dir+`/fastcgi;
	uwsgi_temp_path `+dir+`/uwsgi;
	scgi_temp_path `+dir+`/scgi;
	include `+fragment+`;
}
`), 0o600))
	svctest.StartProgram(t, exec.Command(svctest.SystemProgram(t, "nginx"), "-c", config), svctest.Listens(address))
	return "http://" + address + "/"
}
