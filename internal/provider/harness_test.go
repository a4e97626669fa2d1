package provider

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// home is the real one: the tests have another, for a profile may lie in it.
var home = os.Getenv("HOME")

// TestMain sets what Terraform and its test library read from the environment,
// and removes what would tell the provider of another server.
func TestMain(m *testing.M) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "SVCAUTH_") &&
			name != "SVCAUTH_TEST_SERVICES" && name != "SVCAUTH_TEST_LONG" || strings.HasPrefix(name, "TF_") {
			_ = os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "svcauth-provider-test-")
	if err != nil {
		panic(err)
	}
	rc := filepath.Join(dir, "terraformrc")
	if err := os.WriteFile(rc, nil, 0o600); err != nil {
		panic(err)
	}
	for name, value := range map[string]string{
		"TF_ACC":                "1",
		"TF_CLI_CONFIG_FILE":    rc,
		"CHECKPOINT_DISABLE":    "1",
		"TF_IN_AUTOMATION":      "1",
		"HOME":                  dir,
		"TF_ACC_TERRAFORM_PATH": findTerraform(),
	} {
		_ = os.Setenv(name, value)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func findTerraform() string {
	path, _ := exec.LookPath("terraform")
	return path
}

// needTerraform skips if services are not wanted, as tests of other packages
// do. In CI it fails rather than skip. Such tests run side by side.
func needTerraform(t *testing.T) {
	t.Helper()
	needs.Service(t, "the terraform program")
	if findTerraform() == "" {
		t.Fatal("terraform is not on the PATH; `make deps` says how to get it")
	}
	if testing.Short() {
		t.Skip("slow")
	}
	t.Parallel()
}

// world is a server, and a configuration that reaches it as its administrator.
type world struct {
	*svctest.Server
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()
	needTerraform(t)
	return &world{svctest.New(t, svctest.Options{Environ: []string{svctest.ClaimsCatalog(t)}}), t}
}

// block is the provider block for a server at url, with a credential.
func block(url, id string, secret svcauth.Secret) string {
	return fmt.Sprintf("provider \"svcauth\" {\n  url = %q\n  client_id = %q\n  "+
		"client_secret = %q\n  max_retries = 2\n}\n", url, id, secret.Reveal())
}

// config is the administrator's provider block and what comes after it.
func (w *world) config(text string, args ...any) string {
	key := w.Tenant.ApplicationKey
	return block(w.URL, key.ClientID, key.ClientSecret) + fmt.Sprintf(text, args...) + "\n"
}

// run takes Terraform through the steps, and destroys everything at the end.
func run(t *testing.T, steps ...resource.TestStep) {
	t.Helper()
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: steps})
}

func factories() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"svcauth": providerserver.NewProtocol6WithError(New("1.2.3")()),
	}
}

// does makes a step's check of something that has nothing to do with the state.
func does(check func()) resource.TestCheckFunc {
	return func(*terraformState) error { check(); return nil }
}

// named finds a service account by its name, as the administrator.
func (w *world) named(name string) svcauth.ServiceAccount {
	w.t.Helper()
	found, err := accountNamed(w.t.Context(), w.Admin(), name)
	require.NoError(w.t, err)
	return found
}

// second returns a call's error alone.
func second[T any](_ T, err error) error { return err }
