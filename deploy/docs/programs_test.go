package docs_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
)

// subject is the client of an access token; empty if there is none.
func subject(token any) string {
	text, _ := token.(string)
	var claims struct {
		ClientID string `json:"client_id"`
	}
	if parts := strings.Split(text, "."); len(parts) == 3 {
		if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(payload, &claims)
		}
	}
	return claims.ClientID
}

// fill writes the test's addresses into a snippet.
func (f *front) fill(t *testing.T, id, secret, text string) string {
	secretFile := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secretFile, []byte(secret+"\n"), 0o600))
	return strings.NewReplacer(
		"https://auth.example.com", f.proxy.URL,
		"kafka.example.com:9093", f.kafka.listener.Addr().String(),
		"ssl: true", "ssl: false", "SASL_SSL", "SASL_PLAINTEXT",
		"http://localhost:8080", f.plain.URL,
		"https://api.cloud.example/clusters", f.api.URL+"/clusters",
		"api.cloud.example:443", f.api.Listener.Addr().String(),
		"sa_01h455vb4pex5vsknk084sn02q", id,
		"/run/secrets/svcauth", secretFile,
		"/etc/ssl/private-ca.pem", f.caFile,
		`{targets: ["api.cloud.example:443"]}`, manyTargets(f.api.Listener.Addr().String()),
	).Replace(text)
}

// manyTargets are targets of Prometheus at one address. It scrapes each once
// in its interval, and spreads them over it: so there are two scrapes a second,
// while each has the time that the page's interval leaves it, not a shorter one
// that a busy machine exceeds.
func manyTargets(address string) string {
	var all []string
	for i := range 30 {
		all = append(all, fmt.Sprintf(`{targets: [%q], labels: {copy: "%d"}}`, address, i))
	}
	return strings.Join(all, ", ")
}

// result is what became of a program.
type result struct {
	output string
	ok     bool // it ended with 0
}

// run runs a snippet, as it stands in text, for a client.
func (f *front) run(t *testing.T, r row, text, id, secret string) result {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "main"+filepath.Ext(r.snippet)) // not requests.py: Python would import it
	require.NoError(t, os.WriteFile(file, []byte(f.fill(t, id, secret, text)), 0o600))
	var command []string
	switch filepath.Ext(r.snippet) {
	case ".sh":
		command = []string{"bash", "-e", file}
	case ".py": // the system's: the packages are the system's too
		command = []string{"/usr/bin/python3", "-B", file}
	case ".rb":
		command = []string{"ruby", file}
	case ".php":
		command = []string{"php", "-d", r.ca + "=" + f.caFile, file}
	case ".mjs":
		// a program finds its packages beside itself
		require.NoError(t, os.Symlink(svctest.NodeModules(t), filepath.Join(dir, "node_modules")))
		command = []string{"node", file}
	case ".go":
		binary := filepath.Join(dir, "program")
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, file).CombinedOutput()
		require.NoError(t, err, "%s", out)
		command = []string{binary}
	case ".yml":
		return f.prometheus(t, file, id)
	default:
		t.Fatalf("%s: nothing runs this", r.snippet)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SVCAUTH_CLIENT_ID=" + id, "SVCAUTH_CLIENT_SECRET=" +
		secret}
	if r.ca == strings.ToUpper(r.ca) { // a variable
		cmd.Env = append(cmd.Env, r.ca+"="+f.caFile)
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, ctx.Err(), "%s does not end:\n%s", r.snippet, out)
	text = strings.NewReplacer(f.proxy.URL, "https://auth.example.com", f.plain.URL, "http://localhost:8080", f.api.URL,
		"https://api.cloud.example").Replace(string(out))
	if f.kafka.signedIn(id) {
		text += "hello " + id
	}
	return result{text, err == nil}
}

// twice is a snippet that makes its call, which is its last paragraph, a
// second time, after a pause if there is one.
func twice(t *testing.T, snippet, text string, pause bool) string {
	lines := strings.TrimRight(text, "\n")
	if filepath.Ext(snippet) == ".go" {
		lines = strings.TrimSuffix(lines, "\n}")
	}
	at := strings.LastIndex(lines, "\n\n")
	require.Positive(t, at, "%s has no paragraph of its own for the call", snippet)
	call, wait := lines[at+2:], ""
	if pause {
		wait = map[string]string{".py": "import time; time.sleep(2.1)", ".rb": "sleep 2.1",
			".mjs": "await new Promise(done => setTimeout(done, 2100))"}[filepath.Ext(snippet)]
		require.NotEmpty(t, wait, "%s can't wait", snippet)
	}
	switch filepath.Ext(snippet) {
	case ".mjs":
		call = "{\n" + call + "\n}"
	case ".go":
		return lines + "\n\t{\n" + call + "\n\t}\n}\n"
	}
	return lines + "\n" + wait + "\n" + call + "\n"
}

// prometheus runs the real program until it has scraped the API three times,
// or until it has logged that it can't.
func (f *front) prometheus(t *testing.T, config, id string) result {
	binary, err := exec.LookPath("prometheus")
	require.NoError(t, err, "run `make deps`")
	said := &syncbuf.Buffer{}
	cmd := exec.CommandContext(t.Context(), binary, "--config.file="+config,
		"--storage.tsdb.path="+filepath.Join(t.TempDir(), "data"), "--web.listen-address=127.0.0.1:0",
		"--log.level=debug")
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(t, cmd.Start())
	before := f.called(id)
	require.Eventually(t, func() bool {
		return f.called(id) >= before+3 || strings.Contains(said.String(), "Scrape failed")
	}, time.Minute, 20*time.Millisecond, "Prometheus does not scrape")
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if f.called(id) < before+3 {
		return result{said.String(), false}
	}
	return result{"hello " + id + "\n" + said.String(), true}
}
