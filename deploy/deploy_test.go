// Package deploy_test checks the files in deploy/ with the programs that will
// read them, and against what the server really does.
package deploy_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
)

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(raw)
}

// run runs a program that `make deps` installs; where services are not wanted
// it may be missing.
func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	needs.Service(t, program)
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", program, args, out)
	return string(out)
}

func TestAlertRulesAreWellFormedAndFireOnWhatTheyAreFor(t *testing.T) {
	run(t, "prometheus", "promtool", "check", "rules", "alerts.yaml")
	run(t, "prometheus", "promtool", "test", "rules", "alerts_test.yaml")
}

func TestEachAlertHasItsPageInTheRunbook(t *testing.T) {
	rules, runbook := read(t, "prometheus/alerts.yaml"), read(t, "docs/runbook.md")
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	require.NotEmpty(t, alerts)
	for _, a := range alerts {
		require.Contains(t, runbook, "\n## "+a[1]+"\n")
		require.Contains(t, rules, "runbook.md#"+strings.ToLower(a[1])+"\n")
		require.True(t, strings.Contains(read(t, "prometheus/alerts_test.yaml"), `alertname="`+a[1]+`"`),
			"no test fires %s", a[1])
	}
}

var metric = regexp.MustCompile(`\b(svcauth|process|go)_[a-z_]+`)

// What alerts, dashboard and runbook ask for must be what a server offers.
func TestEveryMetricThatIsAskedForExists(t *testing.T) {
	ops := freeport.Address(t)
	s := svctest.New(t, svctest.Options{TLS: true, Environ: []string{"SVCAUTH_OPS_LISTEN=" + ops}})
	account := s.Account("ci", "clusters:view")
	s.Token(account.ClientID, account.ClientSecret, "")
	offered := svctest.Metrics(t, ops, func(text string) bool {
		return strings.Contains(text, "svcauth_http_requests_total")
	})
	for _, path := range []string{
		"prometheus/alerts.yaml", "grafana/dashboard.json", "docs/runbook.md", "docs/operate.md",
	} {
		for _, name := range metric.FindAllString(read(t, path), -1) {
			require.Contains(t, offered, "\n"+name, "%s asks for %s", path, name)
		}
	}
}

// A variable that nobody reads would be a setting that does nothing, and the
// server refuses to start with one.
func TestEveryVariableIsAKeyOfTheConfiguration(t *testing.T) {
	cfg, err := config.Load(config.LoadOptions{})
	require.NoError(t, err)
	known := []string{"SVCAUTH_CONFIG", "SVCAUTH_IMAGE", "SVCAUTH_URL", "SVCAUTH_CLIENT_ID", "SVCAUTH_CLIENT_SECRET",
		"SVCAUTH_CLIENT_SECRET_FILE", "SVCAUTH_CA_FILE", "SVCAUTH_PROFILE", "SVCAUTH_CONFIG_FILE"}
	for _, e := range cfg.Describe() {
		known = append(known, "SVCAUTH_"+strings.ToUpper(strings.ReplaceAll(e.Key, ".", "_")))
	}
	variable := regexp.MustCompile(`\bSVCAUTH_[A-Z_]+[A-Z]\b`)
	for _, dir := range []string{"compose", "compose.yaml", "helm", "systemd", "Dockerfile",
		"docs/upgrade.md", "docs/backup.md", "docs/runbook.md", "docs/run.md", "docs/operate.md",
		"docs/manage.md", "docs/reference.md", "docs/terraform.md",
		"../README.md"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			for _, name := range variable.FindAllString(read(t, path), -1) {
				require.True(t, slices.Contains(known, name), "%s sets %s", path, name)
			}
			return nil
		}))
	}
}

func TestProductionConfigurationIsValid(t *testing.T) {
	dir := t.TempDir() // in place of /etc/svcauth, with the files that the page says to put there
	for name, text := range map[string]string{"tls.crt": "", "tls.key": "", "master.key": strings.Repeat("k", 32),
		"catalog.yaml": read(t, "../config/catalog.yaml")} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	file := filepath.Join(dir, "production.yaml")
	require.NoError(t, os.WriteFile(file,
		[]byte(strings.ReplaceAll(read(t, "../config/production.yaml"), "/etc/svcauth", dir)), 0o600))
	_, err := config.Load(config.LoadOptions{File: file})
	require.NoError(t, err)
}

func TestUnitIsHardened(t *testing.T) {
	// "Overall exposure level for svcauth.service: 1.2 OK": the higher, the
	// more the service could do to the machine.
	run(t, "systemd", "systemd-analyze", "security", "--offline=true", "--threshold=20", "svcauth.service")
}

var programs string // a directory for those that the tests build

func TestMain(m *testing.M) {
	code := m.Run()
	if programs != "" {
		_ = os.RemoveAll(programs)
	}
	os.Exit(code)
}

var installHelm = sync.OnceValue(func() error {
	var err error
	if programs, err = os.MkdirTemp("", "deploy"); err != nil {
		return err
	}
	install := exec.Command("go", "install", os.Getenv("HELM"))
	install.Env = append(os.Environ(), "GOBIN="+programs)
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// helmProgram returns the path of Helm's program, built from its Go module; the
// Makefile pins it.
func helmProgram(t *testing.T) string {
	t.Helper()
	needs.Service(t, "Helm")
	if os.Getenv("HELM") == "" {
		t.Skip("make test names the release of Helm in HELM")
	}
	require.NoError(t, installHelm())
	return filepath.Join(programs, "helm")
}

// helm runs Helm's program.
func helm(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, "helm", helmProgram(t), args...)
}

// As shipped, without the two values that nobody can guess, the chart passes
// the linter, and an installation says what is missing.
func TestChartAsShipped(t *testing.T) {
	said := helm(t, "lint", "--strict", "svcauth")
	require.NotContains(t, said, "[WARNING]")
	for _, c := range []struct{ given, missing string }{
		{"", "config.issuer is missing: give the https URL"},
		{"config.issuer=https://auth.example.com", "config.database.url is missing: give the URL of PostgreSQL"},
		{"config.database.url=postgres://svcauth@db.svc/svcauth", "config.issuer is missing: give the https URL"},
	} {
		cmd := exec.CommandContext(t.Context(), helmProgram(t), "template", "release", "svcauth", "--kube-version",
			"1.31.0", "--set", c.given)
		cmd.Dir = "helm"
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), c.missing)
	}
}

func TestChartIsWellFormed(t *testing.T) {
	required := []string{"--set", "config.issuer=https://auth.example.com", "--set",
		"config.database.url=postgres://svcauth@db.svc:5432/svcauth?sslmode=verify-full"}
	helm(t, append([]string{"lint", "--strict", "svcauth"}, required...)...)
	out := helm(t, append([]string{"template", "release", "svcauth", "--kube-version", "1.31.0"}, required...)...)
	for _, kind := range []string{"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "Job"} {
		require.Contains(t, out, "kind: "+kind+"\n")
	}
	for _, line := range []string{`"runAsNonRoot": true`, "readOnlyRootFilesystem: true", "path: /readyz",
		"allowPrivilegeEscalation: false"} {
		require.Contains(t, out, line)
	}
	require.NotContains(t, out, "svcs_")
}

// What secrets.sh makes is what the server takes, and what compose asks for is
// in .env; a second run changes nothing.
func TestSecretsOfComposeAreTaken(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "compose"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "compose", "secrets.sh"), []byte(read(t, "compose/secrets.sh")),
		0o755))
	var first string
	for range 2 {
		out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "compose", "secrets.sh")).CombinedOutput()
		require.NoError(t, err, "%s", out)
		env := read(t, filepath.Join(dir, ".env"))
		for _, name := range regexp.MustCompile(`\$\{(\w+):\?`).FindAllStringSubmatch(read(t, "compose.yaml"), -1) {
			require.Regexp(t, `(?m)^`+name[1]+`=\S`, env)
		}
		key := read(t, filepath.Join(dir, "compose", "secrets", "master.key"))
		if first == "" {
			first = env + key
		}
		require.Equal(t, first, env+key)
	}
	for _, name := range []string{"master.key", "pgpass"} {
		require.NoError(t, config.PrivateFile(filepath.Join(dir, "compose", "secrets", name)))
	}
}
