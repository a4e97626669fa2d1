package docs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
)

// hello is the API behind a gateway.
func hello(t *testing.T) (address string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// swap replaces what the text must hold, given in pairs.
func swap(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(t, text, pairs[i])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// apache starts the Apache HTTP server with a module and what name shows of it.
func apache(module, name string) func(*testing.T, *yard, api) string {
	return func(t *testing.T, y *yard, a api) string {
		dir, address := publicDir(t), freeport.Address(t)
		publicFile(t, dir, "index.html", []byte("hello"))
		text := strings.NewReplacer(`https://auth\.example\.com`, strings.ReplaceAll(y.Issuer, ".", `\.`),
			`https://api\.cloud\.example`, strings.ReplaceAll(a.audience, ".", `\.`)).Replace(shownAs(t, name, y, a))
		if module == "auth_openidc" {
			text = "OIDCCABundlePath " + y.caFile + "\n" + text
		} else { // it asks nobody but the system for authorities
			text = swap(t, text, "jwks_uri "+y.Issuer, "jwks_uri "+y.URL)
		}
		for _, one := range []string{"dir", "authz_user", "authz_core", "authn_core", "mpm_event", module} {
			text = "LoadModule " + one + "_module /usr/lib/apache2/modules/mod_" + one + ".so\n" + text
		}
		file := publicFile(t, dir, "apache.conf", []byte(text+"\nServerRoot "+dir+"\nServerName localhost\n"+
			"DefaultRuntimeDir "+dir+"\nListen "+address+"\nPidFile "+dir+"/pid\nErrorLog /dev/stderr\n"+
			"LogLevel error\nDocumentRoot "+dir+"\nDirectoryIndex index.html\n"))
		apache := exec.Command(svctest.SystemProgram(t, "apache2"), "-D", "FOREGROUND", "-f", file)
		svctest.StartProgram(t, apache, svctest.Listens(address))
		return address
	}
}

func haproxyOfKeys(t *testing.T, y *yard, a api) string {
	dir, address := t.TempDir(), freeport.Address(t)
	program := publicFile(t, dir, "jwks_to_pem.py", []byte(snippetOf(t, "gateways.md", "# jwks_to_pem.py")))
	for _, changed := range []bool{true, false} { // twice is once
		mark := filepath.Join(dir, "changed")
		_ = os.Remove(mark)
		cmd := exec.Command("/usr/bin/python3", "-B", program, y.Issuer+"/.well-known/jwks.json", a.algorithm, dir,
			"touch", mark)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SSL_CERT_FILE=" + y.caFile}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		_, err = os.Stat(mark)
		require.Equal(t, changed, err == nil)
	}
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	config := swap(t, shownAs(t, "# haproxy.cfg", y, a), "/etc/haproxy/jwks", dir, "bind :8080",
		"bind 127.0.0.1:"+port, "127.0.0.1:8082", hello(t))
	svctest.StartProgram(t, startHAProxy(t, dir, config), svctest.Listens(address))
	return address
}

func nginxOfTokens(checker string) func(*testing.T, *yard, api) string {
	return func(t *testing.T, y *yard, a api) string {
		dir, address := publicDir(t), freeport.Address(t)
		script := publicFile(t, dir, "svcauth.js", []byte(shownAs(t, "// svcauth.js", y, a)))
		basic := base64.StdEncoding.EncodeToString([]byte(y.asker.ClientID + ":" + y.asker.ClientSecret.Reveal()))
		config := swap(t, shownAs(t, "# nginx.conf, beside", y, a), "/etc/nginx/svcauth.js", script,
			"/var/cache/nginx/svcauth", dir+"/cache", "/etc/ssl/certs/ca-certificates.crt", y.caFile,
			"proxy_ssl_server_name on;", "proxy_ssl_name example.com;", // whom the certificate is for
			"127.0.0.1:8080", address, "127.0.0.1:8082", hello(t), "auth_request /_check;", "auth_request "+checker+";",
			"c2FfMDFoNDU1dmI0cGV4NXZzam5rMDg0c24wMnE6c3Zjc18uLi4=", basic)
		cmd := svctest.NginxCommand(t, dir, config)
		file := filepath.Join(dir, "nginx.conf")
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		const module = "/usr/lib/nginx/modules/ngx_http_js_module.so"
		require.FileExists(t, module, "run `make deps`")
		require.NoError(t, os.WriteFile(file, append([]byte("load_module "+module+";\n"), text...), 0o600))
		svctest.StartProgram(t, cmd, svctest.Listens(address))
		return address
	}
}

// goOIDC is an API that checks tokens as Argo CD and the Kubernetes API server
// do, with the library that they have for ID tokens. It finds all else, the
// algorithms too, in the issuer's metadata.
func goOIDC(t *testing.T, y *yard, a api) string {
	ca, err := os.ReadFile(y.caFile)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ca))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(client.CloseIdleConnections)
	ctx := oidc.ClientContext(context.Background(), client)
	provider, err := oidc.NewProvider(ctx, y.Issuer)
	require.NoError(t, err)
	verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: a.audience})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := verifier.Verify(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		var claims struct{ Scope string }
		switch {
		case err != nil || token.Claims(&claims) != nil:
			w.WriteHeader(http.StatusUnauthorized)
		case !slices.Contains(strings.Fields(claims.Scope), a.privilege):
			w.WriteHeader(http.StatusForbidden)
		default:
			_, _ = io.WriteString(w, "hello "+token.Subject)
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
