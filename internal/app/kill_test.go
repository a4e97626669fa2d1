// Not under the race detector: the program that it kills is built for itself,
// and is not under the race detector in either case.

//go:build !race

package app_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// process is the real program, that can be killed.
type process struct {
	t       *testing.T
	binary  string
	environ []string
	address string
	running *exec.Cmd
	output  *bytes.Buffer
}

func newProcess(t *testing.T, binary, database, redis string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{t: t, binary: binary}
	p.address = freeport.Address(t)
	p.environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SVCAUTH_DATABASE_URL=" + database,
		"SVCAUTH_REDIS_URL=" + redis, "SVCAUTH_MASTER_KEY_FILE=" + filepath.Join(dir, "master.key"),
		"SVCAUTH_ISSUER=http://" + p.address, "SVCAUTH_LISTEN=" + p.address, "SVCAUTH_OPS_LISTEN="}
	return p
}

func (p *process) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.binary, args...)
	cmd.Dir, cmd.Env = filepath.Dir(p.binary), p.environ
	return cmd
}

func (p *process) serve() {
	p.t.Helper()
	p.running, p.output = p.command("serve"), &bytes.Buffer{}
	p.running.Stdout, p.running.Stderr = p.output, p.output
	p.running.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(p.t, p.running.Start())
	cmd := p.running
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(p.t, func() bool {
		resp, err := http.Get("http://" + p.address + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == 200
	}, patience, 20*time.Millisecond)
}

func (p *process) kill() {
	require.NoError(p.t, p.running.Process.Kill())
	_ = p.running.Wait()
}

// post gives status and body; 0 where the process was gone.
func (p *process) post(path, id, secret string, form url.Values) (int, map[string]any) {
	return p.form(path, form, func(r *http.Request) { r.SetBasicAuth(id, secret) })
}

// form is post with a change of the request, instead of id and secret.
func (p *process) form(path string, form url.Values, edit ...func(*http.Request)) (int, map[string]any) {
	req, err := http.NewRequest(http.MethodPost, "http://"+p.address+path, strings.NewReader(form.Encode()))
	require.NoError(p.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, change := range edit {
		change(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body := map[string]any{}
	_ = json.NewDecoder(resp.Body).Decode(&body)
	return resp.StatusCode, body
}

// A revocation is durable before it is acknowledged: kill -9 of the node, and
// of Redis with it, brings no revoked token back.
func TestKilledRightAfterTheAnswer(t *testing.T) {
	needs.Service(t, "real services")
	binary := filepath.Join(t.TempDir(), "svcauth")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/svcauth/svcauth/cmd/svcauth").CombinedOutput()
	require.NoError(t, err, string(out))
	for name, database := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "svcauth.db") },
		"postgres": func(t *testing.T) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			redis := ""
			var server *redistest.Server
			if name == "postgres" {
				server = redistest.Start(t)
				redis = server.URL()
			}
			p := newProcess(t, binary, database(t), redis)
			raw, err := p.command("bootstrap", "-o", "json").Output()
			require.NoError(t, err)
			var made struct {
				Key struct {
					ID     string `json:"client_id"`
					Secret string `json:"client_secret"`
				} `json:"application_key"`
			}
			require.NoError(t, json.Unmarshal(raw, &made))
			var dead, alive []string
			for range 4 {
				p.serve()
				for range 3 {
					status, body := p.post("/oauth2/token", made.Key.ID, made.Key.Secret,
						url.Values{"grant_type": {"client_credentials"}})
					require.Equal(t, 200, status)
					alive = append(alive, body["access_token"].(string))
				}
				last := alive[len(alive)-1]
				status, _ := p.post("/oauth2/revoke", made.Key.ID, made.Key.Secret, url.Values{"token": {last}})
				p.kill() // with the answer barely read
				require.Equal(t, 200, status)
				dead, alive = append(dead, last), alive[:len(alive)-1]
				if server != nil {
					server.Flush()
				}
			}
			p.serve()
			for want, tokens := range map[bool][]string{false: dead, true: alive} {
				for _, token := range tokens {
					status, body := p.post("/oauth2/introspect", made.Key.ID, made.Key.Secret,
						url.Values{"token": {token}})
					require.Equal(t, 200, status)
					require.Equal(t, want, body["active"])
				}
			}
			p.kill() // what it has written is whole only then
			require.NotContains(t, p.output.String(), made.Key.Secret)
		})
	}
}
