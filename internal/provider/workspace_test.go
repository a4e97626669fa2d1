package provider

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// built is the provider program, built once for all tests that start it as
// Terraform does.
var built = sync.OnceValues(func() (string, error) {
	dir := filepath.Dir(os.Getenv("TF_CLI_CONFIG_FILE"))
	program := filepath.Join(dir, "bin", "terraform-provider-svcauth")
	build := exec.Command("go", "build", "-ldflags", "-X main.version=1.2.3", "-o", program,
		"../../cmd/terraform-provider-svcauth")
	build.Env = append(os.Environ(), "HOME="+home) // where Go's caches are
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return filepath.Dir(program), nil
})

// workspace is a directory in which terraform is run, with the built provider.
type workspace struct {
	t   *testing.T
	dir string
	rc  string // Terraform's configuration file
	env []string

	overrides map[string]string // directory of each provider
	slowest   time.Duration     // of the runs so far
}

func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	bin, err := built()
	require.NoError(t, err)
	ws := &workspace{t: t, dir: t.TempDir(), rc: filepath.Join(t.TempDir(), "terraformrc")}
	ws.overrides = map[string]string{"svcauth/svcauth": bin}
	ws.override(nil)
	ws.env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+ws.rc)
	return ws
}

// override adds directories in which Terraform finds programs of providers.
func (ws *workspace) override(more map[string]string) {
	ws.t.Helper()
	maps.Copy(ws.overrides, more)
	text := ""
	for address, dir := range ws.overrides {
		text += fmt.Sprintf("    %q = %q\n", address, dir)
	}
	text = "provider_installation {\n  dev_overrides {\n" + text + "  }\n}\n"
	require.NoError(ws.t, os.WriteFile(ws.rc, []byte(text), 0o600))
}

const required = "terraform {\n  required_providers {\n    svcauth = { source = \"svcauth/svcauth\" }\n  }\n}\n"

func (ws *workspace) write(name, text string) {
	ws.t.Helper()
	require.NoError(ws.t, os.WriteFile(filepath.Join(ws.dir, name), []byte(text), 0o600))
}

// try runs terraform and gives what it printed, on one line where it wraps.
func (ws *workspace) try(args ...string) (string, error) {
	ws.t.Helper()
	return ws.run(findTerraform(), args...)
}

func (ws *workspace) run(program string, args ...string) (string, error) {
	ws.t.Helper()
	program, err := filepath.Abs(program)
	require.NoError(ws.t, err)
	cmd := exec.Command(program, append(args, "-no-color")...)
	cmd.Dir, cmd.Env = ws.dir, ws.env
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	ws.slowest = max(ws.slowest, took)
	ws.t.Logf("%s %s took %s", filepath.Base(program), args[0], took.Round(time.Millisecond))
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(string(out))),
		" "), err
}

func (ws *workspace) must(args ...string) string {
	ws.t.Helper()
	out, err := ws.try(args...)
	require.NoError(ws.t, err, out)
	return out
}

// soon is a time that an apply which begins now does not reach, as fast as this
// machine is at present, and that can be waited for. Something has been planned
// before.
func (ws *workspace) soon() time.Time {
	ws.t.Helper()
	require.NotZero(ws.t, ws.slowest)
	return time.Now().Add(2*time.Second + 5*ws.slowest)
}

// signIn gives the workspace the administrator's credential as people have it:
// in the environment.
func (w *world) signIn(ws *workspace) {
	key := w.Tenant.ApplicationKey
	ws.env = append(ws.env, "SVCAUTH_URL="+w.URL, "SVCAUTH_CLIENT_ID="+key.ClientID, "SVCAUTH_CLIENT_SECRET="+
		key.ClientSecret.Reveal())
}
