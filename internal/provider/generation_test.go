package provider

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

const secretsGuide = "guides/secrets.md"

// guideBlock returns the one piece of configuration in a guide that contains
// text.
func guideBlock(t *testing.T, guide, text string) string {
	t.Helper()
	var found []string
	for _, block := range strings.Split(read(t, docsDir, guide), "```terraform\n")[1:] {
		if block, _, _ = strings.Cut(block, "```"); strings.Contains(block, text) {
			found = append(found, block)
		}
	}
	require.Len(t, found, 1, text)
	return found[0]
}

// delivery is a workspace with the guide's program that takes a secret: here it
// writes what it is given into a file.
type delivery struct {
	*workspace
	w *world
}

func newDelivery(t *testing.T, w *world) *delivery {
	t.Helper()
	d := &delivery{newWorkspace(t), w}
	w.signIn(d.workspace)
	d.write("deliver", "#!/bin/sh\nprintf '%s %s' \"$CLIENT_ID\" \"$CLIENT_SECRET\" >delivered\n")
	require.NoError(t, os.Chmod(filepath.Join(d.dir, "deliver"), 0o700))
	return d
}

// requireWorks checks that what was delivered gets a token, and returns it.
func (d *delivery) requireWorks() string {
	d.t.Helper()
	delivered, err := os.ReadFile(filepath.Join(d.dir, "delivered"))
	require.NoError(d.t, err)
	id, secret, _ := strings.Cut(string(delivered), " ")
	source, err := tokensource.New(tokensource.Config{
		Issuer:       d.w.URL,
		ClientID:     id,
		ClientSecret: svcauth.Secret(secret),
	})
	require.NoError(d.t, err)
	defer func() { _ = source.Close() }()
	_, err = source.Token(d.t.Context())
	require.NoError(d.t, err, "what was delivered is not the secret that is in force")
	return string(delivered)
}

// otherConsumer takes the same secret by a write-only argument and its version.
const otherConsumer = `
resource "svcauth_service_account" "vault" { name = "vault" }
resource "svcauth_service_account_secret" "vault" {
  service_account_id       = svcauth_service_account.vault.id
  client_secret_wo         = ephemeral.svcauth_generated_secret.ci.client_secret
  client_secret_wo_version = svcauth_service_account_secret.ci.generation
}
`

// TestConsumersGetTheSecretThatIsInForce checks, for all ways in which a secret
// becomes another one, that one apply brings it to those tied to its
// generation, and that nothing else does.
func TestConsumersGetTheSecretThatIsInForce(t *testing.T) {
	w := newWorld(t)
	d := newDelivery(t, w)
	text := required + guideBlock(t, secretsGuide, "terraform_data") + otherConsumer
	d.write("main.tf", text)
	seen := map[string]bool{}
	applied := func(args ...string) {
		t.Helper()
		out := d.must(append([]string{"apply", "-auto-approve"}, args...)...)
		require.Regexp(t, `generation = .*\(known after apply\)`, out)
		delivered := d.requireWorks()
		require.False(t, seen[delivered], "another secret")
		seen[delivered] = true
		hint := delivered[len(delivered)-4:]
		require.Equal(t, hint, w.named("ci").Secrets[0].Hint)
		require.Equal(t, hint, w.named("vault").Secrets[0].Hint, "by a write-only argument")
		require.Contains(t, d.must("plan"), "No changes")
	}
	applied()
	_, err := w.Admin().DeleteServiceAccount(t.Context(), w.named("ci").ID, 0)
	require.NoError(t, err)
	applied()
	ci := w.named("ci")
	_, err = w.Admin().DeleteSecret(t.Context(), ci.ID, ci.Secrets[0].ID, false, 0)
	require.NoError(t, err)
	applied()
	applied("-replace=svcauth_service_account.ci")
	text = strings.Replace(text, "client_secret_wo_version = 1", "client_secret_wo_version = 2", 1)
	d.write("main.tf", text)
	applied()

	// The same secret in another state is the same: nothing is delivered.
	d.must("state", "rm", "svcauth_service_account_secret.ci")
	d.must("import", "svcauth_service_account_secret.ci", "ci/"+w.named("ci").Secrets[0].Hint)
	out := d.must("apply", "-auto-approve")
	require.Contains(t, out, "0 added, 1 changed, 0 destroyed", "the version is noted")
	require.Contains(t, out, "Warning: The imported secret has another text")
	require.True(t, seen[d.requireWorks()])
	require.Contains(t, d.must("plan"), "No changes")
}

// TestConsumersGetTheSecretThoughThePreviousOneStays checks that a rotation
// that could not end the previous secret hands the new one on nevertheless: no
// later run has it.
func TestConsumersGetTheSecretThoughThePreviousOneStays(t *testing.T) {
	w := newWorld(t)
	p := newProxy(t, w.URL)
	d := newDelivery(t, w.through(p))
	d.w = w
	text := required + guideBlock(t, secretsGuide, "terraform_data")
	d.write("main.tf", text)
	d.must("apply", "-auto-approve")
	before := d.requireWorks()
	d.write("main.tf", strings.Replace(text, "client_secret_wo_version = 1", "client_secret_wo_version = 2", 1))
	p.befalls(1<<20, "DELETE", "/v1/service-accounts/[^/]+/secrets/.*", answers(500, ""))
	require.Regexp(t, "Warning: The new secret works, but the previous one could not be cut short .*still works",
		d.must("apply", "-auto-approve"))
	after := d.requireWorks()
	require.NotEqual(t, before, after)
	require.Len(t, w.named("ci").Secrets, 2)
	p.heal()
	require.Contains(t, d.must("apply", "-auto-approve"), "0 added, 1 changed, 0 destroyed")
	require.Len(t, w.named("ci").Secrets, 1)
	require.Equal(t, after, d.requireWorks())
}

var installTime = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(os.Getenv("TF_CLI_CONFIG_FILE")), "time")
	install := exec.Command("go", "install", os.Getenv("TIME_PROVIDER"))
	install.Env = append(os.Environ(), "HOME="+home, "GOBIN="+dir)
	out, err := install.CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return dir, nil
})

// withTime gives the workspace HashiCorp's time provider, built from its Go
// module; the Makefile pins it.
func (ws *workspace) withTime() {
	ws.t.Helper()
	if os.Getenv("TIME_PROVIDER") == "" {
		ws.t.Skip("make test names the release of the time provider in TIME_PROVIDER")
	}
	dir, err := installTime()
	require.NoError(ws.t, err, dir)
	ws.override(map[string]string{"hashicorp/time": dir})
}

// TestRotationByTime checks the guide's two ways: a run rotates when the time
// has come, and not before.
func TestRotationByTime(t *testing.T) {
	w := newWorld(t)
	deliver := guideBlock(t, secretsGuide, "terraform_data")
	deliver = deliver[strings.Index(deliver, "resource \"terraform_data\""):]
	t.Run("time_rotating", func(t *testing.T) {
		d := newDelivery(t, w)
		d.withTime()
		d.write("main.tf", required+guideBlock(t, secretsGuide, "time_rotating")+deliver)
		d.must("apply", "-auto-approve")
		first := d.requireWorks()
		ends := w.named("ci").Secrets[0].ExpiresAt
		require.WithinDuration(t, time.Now().Add(120*24*time.Hour), *ends, time.Hour)
		require.Contains(t, d.must("plan"), "No changes")
		d.elapse("time_rotating", "rotation_rfc3339")
		out := d.must("apply", "-auto-approve")
		require.Contains(t, out, "2 added, 1 changed, 1 destroyed")
		require.NotEqual(t, first, d.requireWorks())
		require.Len(t, w.named("ci").Secrets, 2, "keep_previous_for")
		d.must("destroy", "-auto-approve")
	})
	t.Run("plantimestamp", func(t *testing.T) {
		d := newDelivery(t, w)
		text := guideBlock(t, secretsGuide, "plantimestamp()")
		require.Contains(t, text, `"YYYYMM"`)
		d.write("main.tf", required+strings.Replace(text, `"YYYYMM"`, `"YYYY"`, 1)+deliver)
		d.must("apply", "-auto-approve")
		first := d.requireWorks()
		require.Contains(t, d.must("plan"), "No changes")
		d.write("main.tf", required+strings.Replace(text, `"YYYYMM"`, `"YYYYMMDDhhmmss"`, 1)+deliver)
		d.must("apply", "-auto-approve")
		require.NotEqual(t, first, d.requireWorks())
	})
}

// elapse sets a time in the state to one that is over.
func (ws *workspace) elapse(kind, attribute string) {
	ws.t.Helper()
	file := filepath.Join(ws.dir, "terraform.tfstate")
	raw, err := os.ReadFile(file)
	require.NoError(ws.t, err)
	var state map[string]any
	require.NoError(ws.t, json.Unmarshal(raw, &state))
	for _, r := range state["resources"].([]any) {
		if r := r.(map[string]any); r["type"] == kind {
			instance := r["instances"].([]any)[0].(map[string]any)
			instance["attributes"].(map[string]any)[attribute] = "2026-01-01T00:00:00Z"
		}
	}
	raw, err = json.Marshal(state)
	require.NoError(ws.t, err)
	require.NoError(ws.t, os.WriteFile(file, raw, 0o600))
}
